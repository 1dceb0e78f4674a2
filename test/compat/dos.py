"""The real disk-objectstore at the other end of a pipe: one JSON command per line on stdin, one answer on stdout.

The container is opened once and stays open until the input ends. What has to see the newest rows of the index, which
an open session does not, is done by another instance of it, as by another process; it may be of another container, too.
"""

import base64
import dataclasses
import hashlib
import json
import sys

from disk_objectstore import CompressMode, Container


def describe(error):
    return f'{type(error).__name__}: {error}'


def read(container, command):
    """What each key reads as, one by one: the SHA-256 and the size of the content, or the error."""
    found, errors = {}, {}
    for key in command['keys']:
        try:
            content = container.get_object_content(key)
            found[key] = [hashlib.sha256(content).hexdigest(), len(content)]
        except Exception as error:  # is the result
            errors[key] = describe(error)
    return {'found': found, 'errors': errors}


def read_all(container, _command):
    return read(container, {'keys': list(container.list_all_objects())})


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
    'read': read,
    'bulk': bulk,
    'add': add,
    'id': lambda container, _: container.container_id,
    'hold-lock': hold_lock,
    'release-lock': release_lock,
}

OPERATIONS_OF_ANOTHER_INSTANCE = {
    'read-all': read_all,
    'pack': pack,
    'repack': lambda container, _: container.repack(),
    'delete': lambda container, command: container.delete_objects(command['keys']),
    'validate': lambda container, _: dataclasses.asdict(container.validate()),
}


def answer(container, command):
    if command['op'] in OPERATIONS:
        return OPERATIONS[command['op']](container, command)
    with Container(command.get('folder', container.get_folder())) as other:
        return OPERATIONS_OF_ANOTHER_INSTANCE[command['op']](other, command)


def main():
    with Container(sys.argv[1]) as container:
        for line in sys.stdin:
            try:
                reply = {'ok': answer(container, json.loads(line))}
            except Exception as error:  # is the answer
                reply = {'error': describe(error)}
            print(json.dumps(reply), flush=True)


if __name__ == '__main__':
    main()
