"""memory.fill and memory.copy."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.code import Service
from wasmine.compiler.machine.amd64.linux import RED_ZONE
from wasmine.compiler.machine.layout import PIECE, Context, Thread


def _look(again: str) -> str:
    """After a piece: let Python's signal handlers run if that is asked for, then do the rest."""
    return f"""\
  push rcx
  mov rcx, [r12+{Context.THREAD}]
  cmp qword ptr [rcx+{Thread.SIGNALS}], 0
  pop rcx
  je {again}
  sub rsp, {RED_ZONE}
  call safepoint
  jmp {again}"""


def _registers(bits: int) -> tuple[str, str, str, str]:
    """Those of the count, the index and the index in the source, for so many bits, and the size of an operand."""
    return ("ecx", "edi", "esi", "dword ptr") if bits == 32 else ("rcx", "rdi", "rsi", "qword ptr")


def _fill(bits: int) -> str:
    """`fill32` or `fill64`. See `BULK`."""
    count, index, _, word = _registers(bits)
    return f"""
.globl fill{bits}
fill{bits}:
fill{bits}_begin:
  push rdi
  mov {index}, [rax]
  mov {count}, [rax+16]
  push rcx
  add rcx, rdi
  jc fill{bits}_outside
  cmp rcx, [rdx+8]
  ja fill{bits}_outside
  pop rcx
  add rdi, [rdx]
  cmp rcx, {PIECE}
  ja fill{bits}_long
  mov eax, [rax+8]
  rep stosb
  pop rdi
  jmp bulk_done
fill{bits}_long:
  add {word} [rax], {PIECE}
  sub {word} [rax+16], {PIECE}
  mov ecx, {PIECE}
  push rax
  mov eax, [rax+8]
  rep stosb
  pop rax
  pop rdi
{_look(f"fill{bits}_begin")}
fill{bits}_outside:
  pop rcx
  pop rdi
  xor ecx, ecx
  jmp outside{bits}

"""


def _copy(bits: int) -> str:
    """`copy32` or `copy64`. See `BULK`."""
    count, index, source, word = _registers(bits)
    return f"""\
.globl copy{bits}
copy{bits}:
copy{bits}_begin:
  push rdi
  push rsi
  push rbx
  push rax
  mov rbx, rcx
  mov {index}, [rax]
  mov {source}, [rax+8]
  mov {count}, [rax+16]
  mov rax, rdi
  add rax, rcx
  jc copy{bits}_outside
  cmp rax, [rdx+8]
  ja copy{bits}_outside
  mov rax, rsi
  add rax, rcx
  jc copy{bits}_outside
  cmp rax, [rbx+8]
  ja copy{bits}_outside
  add rdi, [rdx]
  add rsi, [rbx]
  # Backwards only if the destination lies in the source: dst - src < count, unsigned.
  mov rax, rdi
  sub rax, rsi
  cmp rax, rcx
  mov rax, [rsp]
  jb copy{bits}_backwards
  cmp rcx, {PIECE}
  ja copy{bits}_long
  rep movsb
copy{bits}_done:
  pop rax
  pop rbx
  pop rsi
  pop rdi
  jmp bulk_done
copy{bits}_long:
  add {word} [rax], {PIECE}
  add {word} [rax+8], {PIECE}
  mov ecx, {PIECE}
  rep movsb
copy{bits}_again:
  sub {word} [rax+16], {PIECE}
  mov rcx, rbx
  pop rax
  pop rbx
  pop rsi
  pop rdi
{_look(f"copy{bits}_begin")}
copy{bits}_backwards:
  cmp rcx, {PIECE}
  ja copy{bits}_long_backwards
  call copy_backwards
  jmp copy{bits}_done
copy{bits}_long_backwards:
  # The last piece. What is left may then be copied forwards, if the memories overlap no more.
  lea rdi, [rdi+rcx-{PIECE}]
  lea rsi, [rsi+rcx-{PIECE}]
  mov ecx, {PIECE}
  call copy_backwards
  mov rax, [rsp]
  jmp copy{bits}_again
copy{bits}_outside:
  mov rcx, rbx
  pop rax
  pop rbx
  pop rsi
  pop rdi
"""


def _outside(bits: int) -> str:
    service = Service.BULK_OUTSIDE_32 if bits == 32 else Service.BULK_OUTSIDE_64
    return f"""\
# As a call of Python from where fill or copy was called, with the operands and the pairs. It traps.
outside{bits}:
  mov [rax+24], rdx
  mov [rax+32], rcx
  mov r13, rax
  mov eax, {service.value}
  jmp call_host_entry
"""


BULK: Final = f"""\
# `fill32`, `copy32`, ... for indices of so many bits are called with the operands in slots from the address in rax on, and
# the addresses of (base, length) pairs in rdx (and rcx, for the source). Bounds are checked first, so nothing is written if
# any byte lies outside. What is long is done by pieces: the operands become those of the rest, and it begins again.
# Only rax, rcx and rdx are clobbered.
{_fill(32)}{_copy(32)}{_outside(32)}
{_fill(64)}{_copy(64)}{_outside(64)}
# rcx bytes from rsi to rdi, the last ones first. Clobbers rax.
copy_backwards:
  std
  lea rdi, [rdi+rcx-1]
  lea rsi, [rsi+rcx-1]
  mov rax, rcx
  and ecx, 7
  rep movsb
  mov rcx, rax
  shr rcx, 3
  sub rdi, 7
  sub rsi, 7
  rep movsq
  cld
  ret

# A loop may spend nearly all of its time here, where no signal interrupts it: so it looks by itself.
bulk_done:
  mov rax, [r12+{Context.THREAD}]
  cmp qword ptr [rax+{Thread.SIGNALS}], 0
  jne bulk_requested
  ret
bulk_requested:
  pop rax
  sub rsp, {RED_ZONE}
  push rax
  jmp safepoint
"""
