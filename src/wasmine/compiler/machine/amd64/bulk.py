"""memory.fill and memory.copy."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.code import Service
from wasmine.compiler.machine.amd64.linux import RED_ZONE
from wasmine.compiler.machine.layout import Context, Thread


def _bulk(bits: int) -> str:
    """memory.fill and memory.copy for indices of so many bits: `fill32`, `copy32`, ... They are called with the operands
    in slots from the address in rax on, and the addresses of (base, length) pairs in rdx (and rcx, for the source).

    Bounds are checked first, so nothing is written if any byte lies outside. Only rax, rcx and rdx are clobbered.
    """
    count, index, source = ("ecx", "edi", "esi") if bits == 32 else ("rcx", "rdi", "rsi")
    outside = Service.BULK_OUTSIDE_32 if bits == 32 else Service.BULK_OUTSIDE_64
    return f"""
.globl fill{bits}
fill{bits}:
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
  mov eax, [rax+8]
  rep stosb
  pop rdi
  jmp bulk_done
fill{bits}_outside:
  pop rcx
  pop rdi
  xor ecx, ecx
  jmp outside{bits}

.globl copy{bits}
copy{bits}:
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
  jb copy{bits}_backwards
  rep movsb
  jmp copy{bits}_done
copy{bits}_backwards:
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
copy{bits}_done:
  pop rax
  pop rbx
  pop rsi
  pop rdi
  jmp bulk_done
copy{bits}_outside:
  mov rcx, rbx
  pop rax
  pop rbx
  pop rsi
  pop rdi
# As a call of Python from where fill or copy was called, with the operands and the pairs. It traps.
outside{bits}:
  mov [rax+24], rdx
  mov [rax+32], rcx
  mov r13, rax
  mov eax, {outside.value}
  jmp call_host_entry
"""


BULK: Final = f"""\
{_bulk(32)}
{_bulk(64)}
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
