//! The commands. Each measures its work alone: inputs are in memory before the clock starts, results are checked after.

use crate::sample::Sample;
use anyhow::{anyhow, bail, Context, Result};
use rsdos::io::{ByteString, ReaderMaker};
use rsdos::{io_loose, io_packs, maintain, Config, Container};
use serde_json::{json, Value};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes asked for at a time by a program that consumes a stream.
const PIECE: usize = 64 * 1024;
/// The piece that rsdos itself copies files with.
const COPY_PIECE: usize = 512 * 1024;

pub fn run(command: &Value) -> Result<Value> {
    let path = text(command, "path")?;
    let container = Container::new(path);
    match (text(command, "op")?, command["where"].as_str().unwrap_or("")) {
        ("create", _) => create(command, &container),
        ("insert", "loose") => insert(command, |sources| {
            Ok(io_loose::insert_many(sources, &container)?
                .into_iter()
                .map(|(_, key)| key)
                .collect())
        }),
        ("insert", "packed") => insert(command, |sources| {
            Ok(io_packs::insert_many(sources, &container)?
                .into_iter()
                .map(|(_, _, key)| key)
                .collect())
        }),
        ("insert-bytes", "packed") => insert_bytes(command, &container),
        ("insert-file", "loose") => insert_file(command, |file| Ok(io_loose::insert(file, &container)?.1)),
        ("insert-file", "packed") => insert_file(command, |file| Ok(io_packs::insert(file, &container)?.2)),
        ("insert-file-many", "packed") => insert_file(command, |file| {
            let results = io_packs::insert_many(vec![file], &container)?;
            Ok(results.into_iter().next().context("nothing was inserted")?.2)
        }),
        ("read", "loose") => read(command, |keys, sample| {
            for object in io_loose::extract_many(keys, &container)? {
                sample.object(&ByteString::try_from(object)?);
            }
            Ok(())
        }),
        ("read", "packed") => read(command, |keys, sample| {
            for object in io_packs::extract_many(keys, &container)? {
                sample.object(&ByteString::try_from(object)?);
            }
            Ok(())
        }),
        ("read-single", "packed") => read(command, |keys, sample| {
            for key in keys {
                let object = io_packs::extract(key, &container)?.with_context(|| format!("no object {key}"))?;
                sample.object(&ByteString::try_from(object)?);
            }
            Ok(())
        }),
        ("stream", "loose") => read(command, |keys, sample| {
            for key in keys {
                let object = io_loose::extract(key, &container)?.with_context(|| format!("no object {key}"))?;
                consume(object.make_reader()?, sample)?;
            }
            Ok(())
        }),
        ("stream", "packed") => read(command, |keys, sample| {
            for key in keys {
                let object = io_packs::extract(key, &container)?.with_context(|| format!("no object {key}"))?;
                consume(object.make_reader()?, sample)?;
            }
            Ok(())
        }),
        ("export", "loose") => export(command, |key, target| {
            let object = io_loose::extract(key, &container)?.with_context(|| format!("no object {key}"))?;
            let mut reader = object.make_reader()?;
            Ok(rsdos::io::copy_by_chunk(&mut reader, target, COPY_PIECE)?)
        }),
        ("export", "packed") => export(command, |key, target| {
            let object = io_packs::extract(key, &container)?.with_context(|| format!("no object {key}"))?;
            let mut reader = object.make_reader()?;
            Ok(rsdos::io::copy_by_chunk(&mut reader, target, COPY_PIECE)?)
        }),
        ("pack", _) => {
            let start = Instant::now();
            maintain::pack_loose(&container)?;
            Ok(answer(millis(start), json!({})))
        }
        ("list", _) => list(&container),
        (op, place) => bail!("rsdos has no {op} {place}"),
    }
}

fn create(command: &Value, container: &Container) -> Result<Value> {
    fs::create_dir_all(&container.path)?;
    let target = command["packSizeTarget"].as_u64().unwrap_or(4 << 30);
    let start = Instant::now();
    container.initialize(&Config::new(target, text(command, "compression")?))?;
    Ok(answer(millis(start), json!({})))
}

/// Inserts the first `count` objects of the file `corpus`, where objects of `size` bytes lie one behind the other.
fn insert(command: &Value, work: impl FnOnce(Vec<ByteString>) -> Result<Vec<String>>) -> Result<Value> {
    let corpus = fs::read(text(command, "corpus")?)?;
    let size = number(command, "size")? as usize;
    let count = number(command, "count")? as usize;
    let sources: Vec<ByteString> = corpus.chunks_exact(size).take(count).map(<[u8]>::to_vec).collect();
    let start = Instant::now();
    let keys = work(sources)?;
    let ms = millis(start);
    Ok(answer(ms, json!({ "objects": keys.len(), "keys": mix_keys(&keys)? })))
}

/// Inserts the contents of `files` as byte strings, which rsdos treats otherwise than files: it compresses them whatever they are.
fn insert_bytes(command: &Value, container: &Container) -> Result<Value> {
    let files = command["files"].as_array().context("missing files")?;
    let read = |file: &Value| Ok(fs::read(file.as_str().context("a file is no text")?)?);
    let sources = files.iter().map(read).collect::<Result<Vec<ByteString>>>()?;
    let start = Instant::now();
    let results = io_packs::insert_many(sources, container)?;
    let ms = millis(start);
    let keys: Vec<_> = results.into_iter().map(|(_, _, key)| key).collect();
    Ok(answer(ms, json!({ "objects": keys.len(), "list": keys })))
}

fn insert_file(command: &Value, work: impl FnOnce(PathBuf) -> Result<String>) -> Result<Value> {
    let file = PathBuf::from(text(command, "file")?);
    let start = Instant::now();
    let key = work(file)?;
    Ok(answer(millis(start), json!({ "objects": 1, "key": key })))
}

fn read(command: &Value, work: impl FnOnce(&[String], &mut Sample) -> Result<()>) -> Result<Value> {
    let keys: Vec<String> = fs::read_to_string(text(command, "keys")?)?
        .lines()
        .map(str::to_owned)
        .collect();
    let mut sample = Sample::new(number(command, "stride")?);
    let start = Instant::now();
    work(&keys, &mut sample)?;
    Ok(answer(
        millis(start),
        json!({ "objects": sample.objects, "bytes": sample.bytes, "sum": sample.sum }),
    ))
}

fn consume(mut reader: impl Read, sample: &mut Sample) -> Result<()> {
    let mut piece = vec![0u8; PIECE];
    let mut position = 0;
    sample.objects += 1;
    loop {
        let n = reader.read(&mut piece)?;
        if n == 0 {
            return Ok(());
        }
        sample.piece(&piece[..n], position);
        position += n as u64;
    }
}

fn export(command: &Value, work: impl FnOnce(&str, &mut File) -> Result<u64>) -> Result<Value> {
    let keys = fs::read_to_string(text(command, "keys")?)?;
    let key = keys.lines().next().context("no key")?;
    let stride = number(command, "stride")?;
    let target = Path::new(text(command, "target")?);
    let start = Instant::now();
    let mut file = File::create(target)?;
    let bytes = work(key, &mut file)?;
    drop(file);
    let ms = millis(start);
    Ok(answer(
        ms,
        json!({ "objects": 1, "bytes": bytes, "sum": sum_of_file(target, stride)? }),
    ))
}

fn sum_of_file(path: &Path, stride: u64) -> Result<u64> {
    let file = File::open(path)?;
    let (mut sum, mut byte) = (0u64, [0u8]);
    for position in (0..file.metadata()?.len()).step_by(stride as usize) {
        file.read_exact_at(&mut byte, position)?;
        sum += u64::from(byte[0]);
    }
    Ok(sum)
}

/// rsdos has no function that lists its packed objects; this is the query that its `maintain.rs` lists them with.
fn list(container: &Container) -> Result<Value> {
    let start = Instant::now();
    let connection = rusqlite::Connection::open(container.packs_db())?;
    let mut statement = connection.prepare("SELECT hashkey FROM db_object")?;
    let keys = statement
        .query([])?
        .mapped(|row| row.get::<_, String>(0))
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    drop(connection);
    let ms = millis(start);
    Ok(answer(ms, json!({ "objects": keys.len(), "keys": mix_keys(&keys)? })))
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

fn answer(ms: f64, mut fields: Value) -> Value {
    fields["ok"] = json!(true);
    fields["ms"] = json!(ms);
    fields
}

/// XOR of the first 32 bits of all keys.
fn mix_keys(keys: &[String]) -> Result<u32> {
    keys.iter().try_fold(0, |mix, key| {
        Ok(mix ^ u32::from_str_radix(key.get(..8).context("a short key")?, 16)?)
    })
}

fn text<'a>(command: &'a Value, name: &str) -> Result<&'a str> {
    command[name].as_str().ok_or_else(|| anyhow!("missing {name}"))
}

fn number(command: &Value, name: &str) -> Result<u64> {
    command[name].as_u64().ok_or_else(|| anyhow!("missing {name}"))
}
