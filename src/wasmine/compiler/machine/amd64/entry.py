"""Entering wasm code from Python, and leaving it by a trap."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.linux import DATA, RED_ZONE
from wasmine.compiler.machine.layout import Activation, Call, Context, Data, Record, Thread

# Take the context in rcx for the thread block in rdx: afterwards "equal" says that it is ours. Clobbers rax only if
# it was not. It is given back when the innermost `enter` ends.
TAKE: Final = f"""\
  xor eax, eax
  lock cmpxchg [rcx+{Context.THREAD}], rdx
  jne 1f
  mov rax, [rdx+{Thread.STACK_LIMIT}]
  mov [rcx+{Context.STACK_LIMIT}], rax
  mov rax, [rdx+{Thread.VALUES_LIMIT}]
  mov [rcx+{Context.VALUES_LIMIT}], rax
  mov rax, [rdx+{Thread.OWNED}]
  mov [rcx+{Context.NEXT}], rax
  mov [rdx+{Thread.OWNED}], rcx
  xor eax, eax
1:"""

# Of `enter` behind the registers that it pushes: the activation. Calls need rsp to be a multiple of 16.
_SIZE: Final = (Activation.SIZE + 15 & -16) + 8

ENTRY: Final = f"""\
# int enter(frame): call wasm code. The arguments lie in the frame, the record of the function in the call before it.
# 0: it returned; results are in the frame or in the call. 1: it trapped, the call says how. The GIL is held at both ends.
.globl enter
enter:
  push rbp
  push rbx
  push r12
  push r13
  push r14
  push r15
  sub rsp, {_SIZE}
  mov r13, rdi
  lea rbx, [rip+blob_start+{DATA}]
  mov rdi, [rbx+{Data.THREAD_KEY}]
  call [rbx+{Data.GET_SPECIFIC}]
  mov r15, rax
  mov [rsp+{Activation.STACK}], rsp
  lea rax, [rip+enter_trapped]
  mov [rsp+{Activation.LANDING}], rax
  mov [rsp+{Activation.FRAME}], r13
  mov [rsp+{Activation.THREAD}], r15
  mov rax, [r15+{Thread.ACTIVATION}]
  mov [rsp+{Activation.PREVIOUS}], rax
  mov rax, [r15+{Thread.OWNED}]
  mov [rsp+{Activation.OWNED}], rax
  mov rax, [r15+{Thread.TOP}]
  mov [rsp+{Activation.TOP}], rax
  mov rax, [r15+{Thread.STATE}]
  mov [rsp+{Activation.STATE}], rax
  stmxcsr [rsp+{Activation.CONTROL}]
  mov rax, [r13+{Call.RECORD - Call.FRAME}]
  mov rcx, [rax+{Record.CONTEXT}]
  mov rdx, r15
  cmp [rcx+{Context.THREAD}], rdx
  je enter_taken
{TAKE}
  jne enter_busy
enter_taken:
  mov r12, rcx
  call [rbx+{Data.SAVE_THREAD}]
  mov [r15+{Thread.STATE}], rax
  mov [r15+{Thread.ACTIVATION}], rsp
  ldmxcsr [rbx+{Data.CONTROL}]
  mov dword ptr [r15+{Thread.INSIDE}], 1
  cmp qword ptr [r15+{Thread.SIGNALS}], 0
  jne enter_requested
enter_on:
  mov r14, [r12+{Context.MEMORY}]
  mov rax, [r13+{Call.RECORD - Call.FRAME}]
  call [rax+{Record.CODE}]
.globl enter_returned
enter_returned:
  mov rcx, [rsp+{Activation.FRAME}]
  mov [rcx+{Call.RESULT - Call.FRAME}], rdi
  movups [rcx+{Call.RESULT_VECTOR - Call.FRAME}], xmm1
  xor ebx, ebx
  jmp enter_leave
enter_requested:
  sub rsp, {RED_ZONE}
  call safepoint
  jmp enter_on
enter_busy:
  mov qword ptr [r13+{Call.TRAP - Call.FRAME}], {layout.BUSY}
  mov qword ptr [r13+{Call.TRAP_PC - Call.FRAME}], 0
  mov [r13+{Call.TRAP_CONTEXT - Call.FRAME}], rcx
  mov qword ptr [r13+{Call.STACK_COPIED - Call.FRAME}], 0
  mov eax, 1
  jmp enter_done
enter_trapped:
  mov ebx, 1
enter_leave:
  mov r15, [rsp+{Activation.THREAD}]
  mov dword ptr [r15+{Thread.INSIDE}], 0
  ldmxcsr [rsp+{Activation.CONTROL}]
  mov rax, [rsp+{Activation.PREVIOUS}]
  mov [r15+{Thread.ACTIVATION}], rax
  # Give back what was taken since.
  mov rdx, [rsp+{Activation.OWNED}]
  mov rax, [r15+{Thread.OWNED}]
enter_release:
  cmp rax, rdx
  je enter_released
  mov rcx, [rax+{Context.NEXT}]
  mov qword ptr [rax+{Context.THREAD}], 0
  mov rax, rcx
  jmp enter_release
enter_released:
  mov [r15+{Thread.OWNED}], rdx
  mov rax, [rsp+{Activation.TOP}]
  mov [r15+{Thread.TOP}], rax
  mov rdi, [r15+{Thread.STATE}]
  mov rax, [rsp+{Activation.STATE}]
  mov [r15+{Thread.STATE}], rax
  lea rax, [rip+blob_start+{DATA}]
  call [rax+{Data.RESTORE_THREAD}]
  mov eax, ebx
enter_done:
  add rsp, {_SIZE}
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp
  ret

# Explicit traps: wasm code *calls* this with the trap's number in eax, so the return address is the place, and in rdx what
# there is to tell of it.
.globl trap
trap:
trap_here:
  mov rdi, [r12+{Context.THREAD}]
  pop rcx
  mov [rdi+{Thread.TRAP}+{Call.TRAP_PC - Call.TRAP}], rcx
  mov [rdi+{Thread.TRAP}], rax
  mov [rdi+{Thread.TRAP}+{Call.TRAP_ADDRESS - Call.TRAP}], rdx
  mov qword ptr [rdi+{Thread.TRAP}+{Call.TRAP_SIGNAL - Call.TRAP}], 0
  mov [rdi+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}], rsp
  mov [rdi+{Thread.TRAP}+{Call.TRAP_CONTEXT - Call.TRAP}], r12
# rdi: the thread. Note the trap where the frame of the call was, with a copy of the native stack for the wasm call stack,
# then go on in `enter`.
leave_by_trap:
  cld
  mov rdx, rdi
  mov rbx, [rdx+{Thread.ACTIVATION}]
  lea rsi, [rdx+{Thread.TRAP}]
  mov rdi, [rbx+{Activation.FRAME}]
  mov ecx, {(Call.STACK_COPIED - Call.TRAP) // 8}
  rep movsq
  mov rsi, [rdx+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}]
  mov rcx, rbx
  sub rcx, rsi
  xor eax, eax
  cmovb rcx, rax
  mov eax, {Call.STACK_COPY_SIZE}
  cmp rcx, rax
  cmova rcx, rax
  mov [rdi], rcx
  add rdi, {Call.STACK_COPY - Call.STACK_COPIED}
  rep movsb
  mov rsp, [rbx+{Activation.STACK}]
  jmp [rbx+{Activation.LANDING}]
"""
