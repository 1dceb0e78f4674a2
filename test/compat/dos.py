"""The real disk-objectstore at the other end of a pipe: one JSON command per line on stdin, one answer on stdout.

The container is opened once and stays open until the input ends.
"""

import base64
import dataclasses
import hashlib
import json
import sys

from disk_objectstore import CompressMode, Container


def describe(error):
    return f'{type(error).__name__}: {error}'


def read_all(container, _command):
    """What each key reads as: the SHA-256 and the size of the content, or the error."""
    found, errors = {}, {}
    for key in container.list_all_objects():
        try:
            content = container.get_object_content(key)
            found[key] = [hashlib.sha256(content).hexdigest(), len(content)]
        except Exception as error:  # is the result
            errors[key] = describe(error)
    return {'found': found, 'errors': errors}


def init(container, command):
    container.init_container(**command['options'])


def add(container, command):
    contents = [base64.b64decode(content) for content in command['contents']]
    if command['to'] == 'loose':
        return [container.add_object(content) for content in contents]
    return container.add_objects_to_pack(contents, compress=command['compress'])


def bulk(container, command):
    """Contents of all the given keys by the bulk call, as [SHA-256, size]; null for missing ones."""
    contents = container.get_objects_content(command['keys'], skip_if_missing=False)
    return {key: content if content is None else [hashlib.sha256(content).hexdigest(), len(content)]
            for key, content in contents.items()}  # fmt: skip


def pack(container, command):
    mode = CompressMode.YES if command['compress'] else CompressMode.NO
    container.pack_all_loose(compress=mode)
    container.clean_storage()


def hold_lock(container, command):
    context = container.lock_pack(command['pack'])
    context.__enter__()
    held.append(context)


def release_lock(_container, _command):
    held.pop().__exit__(None, None, None)


held = []

OPERATIONS = {
    'init': init,
    'read-all': read_all,
    'bulk': bulk,
    'add': add,
    'pack': pack,
    'repack': lambda container, _: container.repack(),
    'delete': lambda container, command: container.delete_objects(command['keys']),
    'meta': lambda container, command: container.get_object_meta(command['key']).size,
    'count': lambda container, _: dataclasses.asdict(container.count_objects()),
    'validate': lambda container, _: dataclasses.asdict(container.validate()),
    'id': lambda container, _: container.container_id,
    'hold-lock': hold_lock,
    'release-lock': release_lock,
}


def main():
    with Container(sys.argv[1]) as container:
        for line in sys.stdin:
            command = json.loads(line)
            try:
                answer = {'ok': OPERATIONS[command['op']](container, command)}
            except Exception as error:  # is the answer
                answer = {'error': describe(error)}
            print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
