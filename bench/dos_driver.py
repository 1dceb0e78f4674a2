"""Drives disk-objectstore 1.5.0: one JSON command per line on stdin, one JSON answer per line on stdout.

bench/README.md has the protocol, which the drivers of all programs share. Each command measures its work alone: inputs
are in memory before the clock starts, results are checked after it stopped. The container is opened and closed within.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

from disk_objectstore import Container

# Bytes asked for at a time by a program that consumes a stream.
PIECE = 64 * 1024
COPY_PIECE = 512 * 1024


class Sample:
    """What proves that content was read: its length, and the sum of every `stride`-th byte of it."""

    def __init__(self, stride):
        self.stride = stride
        self.objects = self.bytes = self.sum = 0

    def piece(self, piece, position):
        self.sum += sum(piece[-position % self.stride :: self.stride])
        self.bytes += len(piece)

    def object(self, content):
        self.objects += 1
        self.piece(content, 0)

    def answer(self):
        return {'objects': self.objects, 'bytes': self.bytes, 'sum': self.sum}


def measure(path, work):
    """Runs `work` on the container; returns the milliseconds that it took, and its result."""
    start = time.perf_counter()
    with Container(path) as container:
        result = work(container)
    return (time.perf_counter() - start) * 1000, result


def mix_keys(keys):
    """XOR of the first 32 bits of all keys."""
    mix = 0
    for key in keys:
        mix ^= int(key[:8], 16)
    return mix


def create(command):
    container = Container(command['path'])
    # The name for "none" does not exist here: what is compressed is said by each call.
    start = time.perf_counter()
    container.init_container(pack_size_target=command.get('packSizeTarget', 4 << 30))
    container.close()
    return {'ms': (time.perf_counter() - start) * 1000}


def insert(command):
    corpus = Path(command['corpus']).read_bytes()
    size = command['size']
    sources = [corpus[i * size : (i + 1) * size] for i in range(command['count'])]

    def loose(container):
        return [container.add_object(source) for source in sources]

    def packed(container):
        return container.add_objects_to_pack(sources, compress=False, do_fsync=command['sync'])

    ms, keys = measure(command['path'], loose if command['where'] == 'loose' else packed)
    return {'ms': ms, 'objects': len(keys), 'keys': mix_keys(keys)}


def insert_file(command):
    def work(container):
        with open(command['file'], 'rb') as stream:
            if command['where'] == 'loose':
                return container.add_streamed_object(stream)
            return container.add_streamed_object_to_pack(stream, compress=False, do_fsync=command['sync'])

    ms, key = measure(command['path'], work)
    return {'ms': ms, 'objects': 1, 'key': key}


def insert_file_many(command):
    def work(container):
        with open(command['file'], 'rb') as stream:
            return container.add_streamed_objects_to_pack([stream], compress=False, do_fsync=command['sync'])

    ms, keys = measure(command['path'], work)
    return {'ms': ms, 'objects': len(keys), 'key': keys[0]}


def read_with(command, work):
    keys = Path(command['keys']).read_text(encoding='ascii').split()
    sample = Sample(command['stride'])
    ms, _ = measure(command['path'], lambda container: work(container, keys, sample))
    return {'ms': ms, **sample.answer()}


def read(command):
    def work(container, keys, sample):
        with container.get_objects_stream_and_meta(keys) as triplets:
            for _, stream, _ in triplets:
                sample.object(stream.read())

    return read_with(command, work)


def read_single(command):
    def work(container, keys, sample):
        for key in keys:
            sample.object(container.get_object_content(key))

    return read_with(command, work)


def stream_pieces(command):
    def work(container, keys, sample):
        for key in keys:
            position = 0
            sample.objects += 1
            with container.get_object_stream(key) as stream:
                while piece := stream.read(PIECE):
                    sample.piece(piece, position)
                    position += len(piece)

    return read_with(command, work)


def export(command):
    target = command['target']

    def work(container, keys, sample):
        with container.get_object_stream(keys[0]) as stream, open(target, 'wb') as file:
            shutil.copyfileobj(stream, file, COPY_PIECE)

    answer = read_with(command, work)
    with open(target, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        picked = (os.pread(file.fileno(), 1, position)[0] for position in range(0, size, command['stride']))
        return {**answer, 'objects': 1, 'bytes': size, 'sum': sum(picked)}


def pack(command):
    # `validate_objects` is left as it is, on: the others hash as they pack, too.
    ms, _ = measure(command['path'], lambda c: c.pack_all_loose(compress=False, do_fsync=command['sync']))
    return {'ms': ms}


def clean(command):
    ms, _ = measure(command['path'], lambda container: container.clean_storage())
    return {'ms': ms}


def list_keys(command):
    ms, keys = measure(command['path'], lambda container: list(container.list_all_objects()))
    return {'ms': ms, 'objects': len(keys), 'keys': mix_keys(keys)}


OPERATIONS = {
    'create': create,
    'insert': insert,
    'insert-file': insert_file,
    'insert-file-many': insert_file_many,
    'read': read,
    'read-single': read_single,
    'stream': stream_pieces,
    'export': export,
    'pack': pack,
    'clean': clean,
    'list': list_keys,
}


def main():
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {'ok': True, **OPERATIONS[command['op']](command)}
        except Exception as error:  # the harness prints it and stops
            answer = {'ok': False, 'error': f'{type(error).__name__}: {error}'}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
