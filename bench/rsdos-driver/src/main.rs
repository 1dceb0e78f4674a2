//! Drives the library of rsdos 0.2.0.
//!
//! `rsdos-driver cli ARGS...` is the command line of rsdos. Without arguments: one JSON command per line on stdin, one
//! JSON answer per line on stdout; bench/README.md has the protocol, which the drivers of all programs share.

mod ops;
mod sample;

use serde_json::{json, Value};
use std::io::{BufRead, Write};

fn main() -> anyhow::Result<()> {
    let mut args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|a| a == "cli") {
        args.remove(1);
        return rsdos::cli::run_cli(&args);
    }
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str::<Value>(&line?)
            .map_err(anyhow::Error::from)
            .and_then(|command| ops::run(&command))
        {
            Ok(answer) => answer,
            Err(error) => json!({ "ok": false, "error": format!("{error:#}") }),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
