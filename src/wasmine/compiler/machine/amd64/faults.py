"""The handler of faults."""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.amd64.linux import (
    DATA,
    SYS_GETTID,
    SYS_RT_SIGACTION,
    SYS_TGKILL,
    UC_R12,
    UC_RDI,
    UC_RIP,
    UC_RSP,
    UC_STACK_FLAGS,
    UC_VECTORS,
)
from wasmine.compiler.machine.layout import Call, Data, Thread
from wasmine.compiler.machine.linux import SI_ADDR, SI_CODE, SS_AUTODISARM

_CALLED: Final = (
    48  # from rsp, after five registers were pushed, to where it was when we were called, and a return address
)
_NOT_WASM: Final = 1 << 9 | 1 << 0  # in XSAVE's mask: keys of memory protection, x87

FAULTS: Final = f"""\
# void fault(signal, siginfo, ucontext): SIGSEGV, SIGBUS and SIGFPE.
.globl fault
fault:
  push rbx
  push r12
  push r13
  push r14
  push r15
  mov ebx, edi
  mov r12, rsi
  mov r13, rdx
  lea r15, [rip+blob_start+{DATA}]
  cmp dword ptr [r12+{SI_CODE}], 0
  jle fault_chain
  mov rax, [r13+{UC_RIP}]
  sub rax, [r15+{Data.CODE_START}]
  cmp rax, [r15+{Data.CODE_SIZE}]
  jae fault_chain
  mov rdi, [r15+{Data.THREAD_KEY}]
  call [r15+{Data.GET_SPECIFIC}]
  test rax, rax
  jz fault_chain
  cmp qword ptr [rax+{Thread.ACTIVATION}], 0
  je fault_chain
  mov rcx, [r13+{UC_RIP}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_PC - Call.TRAP}], rcx
  mov rcx, [r12+{SI_ADDR}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_ADDRESS - Call.TRAP}], rcx
  mov [rax+{Thread.TRAP}+{Call.TRAP_SIGNAL - Call.TRAP}], rbx
  mov qword ptr [rax+{Thread.TRAP}], {layout.FAULT}
  mov rcx, [r13+{UC_RSP}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_STACK - Call.TRAP}], rcx
  mov rcx, [r13+{UC_R12}]
  mov [rax+{Thread.TRAP}+{Call.TRAP_CONTEXT - Call.TRAP}], rcx
  # Returning to the kernel would cost a microsecond. It is needed if another handler has called us, or if the kernel took
  # the thread's alternate stack away. (Called by the kernel, we have its ucontext_t on top of the stack.) The kernel has
  # changed the processor's control register for floats as wasm wants it; the rest, which is not wasm's, it keeps here.
  lea rcx, [rsp+{_CALLED}]
  cmp rcx, r13
  jne fault_return
  test dword ptr [r13+{UC_STACK_FLAGS}], {SS_AUTODISARM}
  jnz fault_return
  cmp qword ptr [r15+{Data.PROCESSOR_PARTS}], 0
  je fault_return
  mov rdi, rax
  mov rcx, [r13+{UC_VECTORS}]
  mov eax, {_NOT_WASM}
  xor edx, edx
  xrstor64 [rcx]
  jmp leave_by_trap
fault_return:
  mov [r13+{UC_RDI}], rax
  lea rcx, [rip+leave_by_trap]
  mov [r13+{UC_RIP}], rcx
  jmp fault_done
fault_chain:
  # Not ours: the handler that was there before; but the default action if that came back to us, because it remembers our
  # handler as the one before its own. Then this thread is calling it already, from further up its stack.
  mov rax, [r15+{Data.PREVIOUS}+rbx*8]
  cmp rax, 1
  jbe fault_default
  mov eax, {SYS_GETTID}
  syscall
  mov ecx, eax
  and ecx, {Data.CHAINS - 1}
  shl ecx, 4
  lea r14, [r15+rcx+{Data.CHAINING}]
  cmp [r14], rax
  jne fault_call
  cmp rsp, [r14+8]
  jb fault_default
fault_call:
  mov [r14], rax
  mov [r14+8], rsp
  mov edi, ebx
  mov rsi, r12
  mov rdx, r13
  call [r15+{Data.PREVIOUS}+rbx*8]
  mov qword ptr [r14], 0
  jmp fault_done
fault_default:
  # Back to SIG_DFL by the raw system call (struct kernel_sigaction: handler, flags, restorer, mask): the instruction
  # faults again and the core dump has the true place. A signal that was sent is sent again.
  sub rsp, 48
  mov qword ptr [rsp], 0
  mov qword ptr [rsp+8], 0
  mov qword ptr [rsp+16], 0
  mov qword ptr [rsp+24], 0
  mov edi, ebx
  mov rsi, rsp
  xor edx, edx
  mov r10d, 8
  mov eax, {SYS_RT_SIGACTION}
  syscall
  add rsp, 48
  cmp dword ptr [r12+{SI_CODE}], 0
  jg fault_done
  mov eax, {SYS_GETTID}
  syscall
  mov esi, eax
  mov edi, [r15+{Data.PROCESS}]
  mov edx, ebx
  mov eax, {SYS_TGKILL}
  syscall
fault_done:
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  ret
"""
