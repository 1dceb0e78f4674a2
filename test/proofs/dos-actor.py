"""An actor of the proofs that works with the real disk-objectstore: see actor-main.ts for what it is told, lines.ts for what it says.

Its contents have the number 0, so they are never deleted. What disk-objectstore cannot do while others work is not a failure: it
says so in its documentation ("needs to be done only by one process at any given time"). Each of these raises and loses nothing:
another packer has the pack or has the object in it already, the loose file was packed and removed, the database is busy; a reader
looks for an object where it was before a repack.
"""

import hashlib
import os
import pathlib
import random
import sys
import threading
import time

from disk_objectstore import CompressMode, Container
from disk_objectstore.exceptions import NotExistent
from sqlalchemy.exc import IntegrityError, OperationalError

root, number, seed, pause, *verbs = sys.argv[1:]
choices = random.Random(int(seed))
known = set()
to_check = []
made = 0


def say(sign, subject, detail=''):
    os.write(1, f'{time.monotonic_ns()} {sign} {subject} {detail}\n'.encode())


def listen():
    """Takes in what it is told while it works."""
    for line in sys.stdin:
        what, key, *_ = [*line.split(), '']
        if what == 'read':
            known.add(key)
        elif what == 'forget':
            known.discard(key)
        elif what == 'gone':
            to_check.append(key)
    ended.set()


def contents():
    global made
    count = choices.randint(1, 20)
    made += count
    return [f'disk-objectstore {number} {made - i}\n'.encode() * choices.randint(1, 100) for i in range(count)]


def dos_loose(container):
    for content in contents():
        say('+', container.add_object(content), 0)


def dos_packed(container):
    for key in container.add_objects_to_pack(contents(), compress=choices.random() < 0.5):
        say('+', key, 0)


def dos_pack(container):
    container.pack_all_loose(compress=choices.choice([CompressMode.YES, CompressMode.NO, CompressMode.AUTO]))


def wait_for_other_packers():
    """It is for its users to see to it that nobody else packs: it would remove the lock of who does, and the next one gets in."""
    packs, holder = pathlib.Path(root, 'packs'), pathlib.Path(root, 'sandbox', 'tsdos.lock.holder')
    while any(packs.glob('*.lock')) or (holder.exists() and holder.stat().st_size > 0):
        time.sleep(0.005)


def some(count):
    everything = list(known)
    return choices.sample(everything, min(count, len(everything)))


def check(key, content):
    if hashlib.sha256(content).hexdigest() != key:
        raise ValueError(f'wrong bytes for {key}')


def dos_read(container):
    for key in some(20):
        try:
            check(key, container.get_object_content(key))
        except NotExistent:
            say('!', key, 'get_object_content')
    for key, content in container.get_objects_content(some(100), skip_if_missing=False).items():
        if content is None:
            say('!', key, 'get_objects_content')
        else:
            check(key, content)


def check_gone(container):
    keys = to_check[:500]
    del to_check[: len(keys)]
    for key, is_there in zip(keys, container.has_objects(keys)):
        if is_there:
            raise ValueError(f'{key} was deleted and is back')
        say('=', key)


actions = {'dos-loose': dos_loose, 'dos-packed': dos_packed, 'dos-pack': dos_pack, 'dos-read': dos_read}
PACKING = ('dos-packed', 'dos-pack')
EXPECTED = (FileExistsError, FileNotFoundError, IntegrityError, OperationalError)

print('ready', flush=True)
sys.stdin.readline()
ended = threading.Event()
threading.Thread(target=listen, daemon=True).start()
doing = 'open'
try:
    while not ended.is_set():
        # A session that stays open does not see the newest rows.
        with Container(root) as container:
            check_gone(container)
            doing = choices.choice(verbs)
            say('>', doing)
            if doing in PACKING:
                wait_for_other_packers()
            try:
                actions[doing](container)
            except EXPECTED as error:
                if doing not in PACKING and not (doing == 'dos-read' and isinstance(error, FileNotFoundError)):
                    raise
                say('<', f'{doing}-refused', type(error).__name__)
            else:
                say('<', doing)
        time.sleep(choices.random() * int(pause) / 1000)
except Exception as error:
    say('x', doing, repr(error).replace('\n', ' | '))
    sys.exit(1)
