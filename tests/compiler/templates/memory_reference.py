"""What loads, stores and atomic operations do to the bytes that they touch."""

from __future__ import annotations

_RMW = {
    "add": lambda old, new: old + new,
    "sub": lambda old, new: old - new,
    "and": lambda old, new: old & new,
    "or": lambda old, new: old | new,
    "xor": lambda old, new: old ^ new,
    "xchg": lambda old, new: new,
}


def access_memory(name: str, data: bytes, operands: tuple[int, ...]) -> tuple[tuple[int, ...], bytes]:
    """The results of an access to `data`, and what the bytes are afterwards."""
    type, _, operation = name.partition(".")
    size = len(data)
    old = int.from_bytes(data, "little")
    mask = (1 << 8 * size) - 1
    if ".rmw" in name:
        kind = operation.split(".")[-1].removesuffix("_u")
        if kind == "cmpxchg":
            expected, replacement = operands
            return (old,), (replacement & mask if expected & mask == old else old).to_bytes(size, "little")
        return (old,), (_RMW[kind](old, operands[0]) & mask).to_bytes(size, "little")
    operation = operation.removeprefix("atomic.")
    if operation.startswith("store"):
        return (), (operands[0] & mask).to_bytes(size, "little")
    if operation.endswith("_splat"):
        return (sum(old << 8 * size * lane for lane in range(16 // size)),), data
    if "x" in operation:
        width = int(operation[4 : operation.index("x")])
        lanes = [old >> width * lane & (1 << width) - 1 for lane in range(64 // width)]
        if operation.endswith("_s"):
            lanes = [_sign_extend(lane, width, 2 * width) for lane in lanes]
        return (sum(lane << 2 * width * number for number, lane in enumerate(lanes)),), data
    if operation.endswith("_s"):
        return (_sign_extend(old, 8 * size, int(type[1:])),), data
    return (old,), data


def _sign_extend(value: int, width: int, to: int) -> int:
    return (value - (value >> width - 1 << width)) & (1 << to) - 1
