"""A file system that folds names as macOS does, for machines whose kernel has none.

Run as ``folding.py FOLDER`` by root it serves FOLDER through /dev/fuse until that is unmounted:
everything is in memory, ``a.md`` and ``A.md`` are one name, and so are the forms of ``é``; what is
listed is the name that was given. See linux/fuse.h for the messages.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
import time
import unicodedata
from dataclasses import dataclass, field

_LARGEST_WRITE = 128 * 1024
_WORD = (1 << 64) - 1
_NOW = {0x80: "atime", 0x100: "mtime"}


def fold(name: str) -> str:
    """Return what two names have in common that are one to this file system."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


@dataclass
class Node:
    """A file, folder or link; ``children`` are name and number by folded name."""

    number: int
    mode: int
    data: bytearray = field(default_factory=bytearray)
    children: dict[str, tuple[str, int]] = field(default_factory=dict)
    links: int = 1
    owner: tuple[int, int] = (0, 0)
    atime: int = 0
    mtime: int = 0
    ctime: int = 0

    def touch(self, *times: str) -> None:
        now = time.time_ns()
        for name in times:
            setattr(self, name, now)

    def attributes(self) -> bytes:
        seconds = [divmod(one, 10**9) for one in (self.atime, self.mtime, self.ctime)]
        size = len(self.data)
        return struct.pack(
            "<6Q10I",
            self.number,
            size,
            -(-size // 512),
            *(one[0] for one in seconds),
            *(one[1] for one in seconds),
            self.mode,
            self.links,
            *self.owner,
            0,
            4096,
            0,
        )


class Folding:
    """Answers the kernel's requests; a method's name is the request's."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.aliases: dict[tuple[int, str], int] = {}
        self.count = 0
        self.new(stat.S_IFDIR | 0o755)

    def new(self, mode: int) -> Node:
        self.count += 1
        node = Node(self.count, mode)
        node.touch("atime", "mtime", "ctime")
        self.nodes[node.number] = node
        return node

    def find(self, folder: Node, name: str) -> Node:
        if fold(name) not in folder.children:
            raise OSError(errno.ENOENT, name)
        return self.nodes[folder.children[fold(name)][1]]

    def add(self, folder: Node, name: str, node: Node) -> bytes:
        if fold(name) in folder.children:
            raise OSError(errno.EEXIST, name)
        folder.children[fold(name)] = (name, node.number)
        folder.touch("mtime", "ctime")
        return self.entry(node)

    def entry(self, node: Node) -> bytes:
        return struct.pack("<4Q2I", node.number, 0, 0, 0, 0, 0) + node.attributes()

    def init(self, _node: Node, _body: bytes) -> bytes:
        return struct.pack("<4I2H2I", 7, 31, 0, 1 << 5, 0, 0, _LARGEST_WRITE, 1) + bytes(36)

    def lookup(self, node: Node, body: bytes) -> bytes:
        (name,) = _names(body)
        found = self.find(node, name)
        if node.children[fold(name)][0] == name:
            return self.entry(found)
        # By another name it is another file to the kernel, though of one number to the user: Linux
        # takes a rename from a file to itself for nothing to do, which macOS does not.
        alias = self.aliases.setdefault((found.number, name), -1 - len(self.aliases))
        self.nodes[alias & _WORD] = found
        return struct.pack("<Q", alias & _WORD) + self.entry(found)[8:]

    def getattr(self, node: Node, _body: bytes) -> bytes:
        return bytes(16) + node.attributes()

    def setattr(self, node: Node, body: bytes) -> bytes:
        valid, _, _, size, _, *rest = struct.unpack_from("<2I3Q3Q8I", body)
        seconds, nanoseconds, mode, uid, gid = rest[:3], rest[3:6], rest[6], rest[8], rest[9]
        if valid & 1:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if valid & 6:
            node.owner = (uid if valid & 2 else node.owner[0], gid if valid & 4 else node.owner[1])
        if valid & 8:
            node.data = (node.data + bytes(max(0, size - len(node.data))))[:size]
            node.touch("mtime")
        for bit, index, name in ((0x10, 0, "atime"), (0x20, 1, "mtime")):
            if valid & bit:
                setattr(node, name, seconds[index] * 10**9 + nanoseconds[index])
        node.touch("ctime", *(name for bit, name in _NOW.items() if valid & bit))
        return self.getattr(node, b"")

    def readlink(self, node: Node, _body: bytes) -> bytes:
        return bytes(node.data)

    def symlink(self, node: Node, body: bytes) -> bytes:
        name, target = _names(body)
        made = self.new(stat.S_IFLNK | 0o777)
        made.data = bytearray(os.fsencode(target))
        return self.add(node, name, made)

    def mknod(self, node: Node, body: bytes) -> bytes:
        return self.add(node, *_names(body[16:]), self.new(struct.unpack_from("<I", body)[0]))

    def mkdir(self, node: Node, body: bytes) -> bytes:
        mode = struct.unpack_from("<I", body)[0]
        return self.add(node, *_names(body[8:]), self.new(stat.S_IFDIR | mode))

    def create(self, node: Node, body: bytes) -> bytes:
        mode = struct.unpack_from("<4I", body)[1]
        return self.add(node, *_names(body[16:]), self.new(mode)) + bytes(16)

    def link(self, node: Node, body: bytes) -> bytes:
        linked = self.nodes[struct.unpack_from("<Q", body)[0]]
        linked.links += 1
        linked.touch("ctime")
        return self.add(node, *_names(body[8:]), linked)

    def unlink(self, node: Node, body: bytes) -> bytes:
        (name,) = _names(body)
        gone = self.find(node, name)
        gone.links -= 1
        gone.touch("ctime")
        del node.children[fold(name)]
        node.touch("mtime", "ctime")
        return b""

    def rmdir(self, node: Node, body: bytes) -> bytes:
        if self.find(node, *_names(body)).children:
            raise OSError(errno.ENOTEMPTY, "")
        return self.unlink(node, body)

    def rename(self, node: Node, body: bytes, names_at: int = 8) -> bytes:
        target = self.nodes[struct.unpack_from("<Q", body)[0]]
        old, new = _names(body[names_at:])
        moved = self.find(node, old)
        there = target.children.get(fold(new))
        if there and there[1] != moved.number:
            if self.nodes[there[1]].children:
                raise OSError(errno.ENOTEMPTY, new)
            self.unlink(target, os.fsencode(new) + b"\0")
            new = there[0]  # as ext4 does it: the name that was there stays
        del node.children[fold(old)]
        target.children[fold(new)] = (new, moved.number)
        for one in (node, target):
            one.touch("mtime", "ctime")
        moved.touch("ctime")
        return b""

    def rename2(self, node: Node, body: bytes) -> bytes:
        if struct.unpack_from("<I", body, 8)[0]:
            raise OSError(errno.EINVAL, "flags")  # as of a file system that cannot exchange
        return self.rename(node, body, 16)

    def open(self, _node: Node, _body: bytes) -> bytes:
        return bytes(16)

    def read(self, node: Node, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<2QI", body)
        return bytes(node.data[offset : offset + size])

    def write(self, node: Node, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<2QI", body)
        node.data.extend(bytes(max(0, offset - len(node.data))))
        node.data[offset : offset + size] = body[40 : 40 + size]
        node.touch("mtime", "ctime")
        return struct.pack("<2I", size, 0)

    def readdir(self, node: Node, body: bytes) -> bytes:
        _, offset, room = struct.unpack_from("<2QI", body)
        found = b""
        for place, (name, number) in enumerate(list(node.children.values())[offset:], offset + 1):
            encoded = os.fsencode(name)
            kind = stat.S_IFMT(self.nodes[number].mode) >> 12
            one = struct.pack("<2Q2I", number, place, len(encoded), kind) + encoded
            one += bytes(-len(one) % 8)
            if len(found) + len(one) > room:
                break
            found += one
        return found

    def statfs(self, _node: Node, _body: bytes) -> bytes:
        room = 1 << 20
        return struct.pack("<5Q4I", room, room, room, room, room, 4096, 255, 4096, 0) + bytes(24)

    def done(self, _node: Node, _body: bytes) -> bytes:
        return b""


def _names(body: bytes) -> list[str]:
    return [os.fsdecode(name) for name in body.split(b"\0")[:-1]]


_SILENT = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET
_REQUESTS = {
    1: "lookup",
    3: "getattr",
    4: "setattr",
    5: "readlink",
    6: "symlink",
    8: "mknod",
    9: "mkdir",
    10: "unlink",
    11: "rmdir",
    12: "rename",
    13: "link",
    14: "open",
    15: "read",
    16: "write",
    17: "statfs",
    18: "done",
    20: "done",
    25: "done",
    26: "init",
    27: "open",
    28: "readdir",
    29: "done",
    30: "done",
    35: "create",
    38: "done",
    45: "rename2",
}


def serve(folder: str) -> None:
    """Mount on ``folder`` and answer until somebody unmounts it.

    Raises:
        OSError: this machine or user cannot.
    """
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"folding", os.fsencode(folder), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    print("mounted", flush=True)
    system = Folding()
    while True:
        try:
            message = os.read(device, _LARGEST_WRITE + 4096)
        except OSError as error:
            if error.errno == errno.ENODEV:  # unmounted
                return
            raise
        _, request, unique, number = struct.unpack_from("<2I2Q", message)
        if request in _SILENT:
            continue
        try:
            if request not in _REQUESTS:
                raise OSError(errno.ENOSYS, "")
            answer = getattr(system, _REQUESTS[request])(system.nodes.get(number), message[40:])
            head = struct.pack("<IiQ", 16 + len(answer), 0, unique)
        except OSError as error:
            answer, head = b"", struct.pack("<IiQ", 16, -(error.errno or errno.EIO), unique)
        try:
            os.write(device, head + answer)
        except FileNotFoundError:  # whoever asked was killed meanwhile
            continue


if __name__ == "__main__":
    serve(sys.argv[1])
