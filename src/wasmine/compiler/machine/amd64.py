"""What is x86-64's alone: the hand-written sequences, as assembly text, and the shape of Linux's signal frames.

`ASSEMBLY` is assembled when the package is built (`templates.build`) and lies in the template library as one
position-independent blob with the offsets of its global symbols. Behind the blob, at `DATA`, lies a page of data that
`glue` fills in before use (`Data`).

Registers in wasm code: r12 the VM context, r13 the frame in the value stack, r14 the base of memory 0. Everything else is
the compiler's; rax, rcx and rdx are scratch everywhere.
"""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.layout import Activation, Context, Record, Thread
from wasmine.errors import TrapKind


class Data:
    """Offsets in the blob's data page."""

    CODE_START: Final = 0  # the arena: a fault whose pc lies in it is a trap
    CODE_SIZE: Final = 8
    THREAD_KEY: Final = 16
    GET_SPECIFIC: Final = 24  # address of pthread_getspecific
    CHAINING: Final = 32  # whether an earlier handler is being called
    PROCESS: Final = 40  # the process id
    PREVIOUS: Final = 64  # the handlers that were installed before, by signal number
    SIZE: Final = 4096


DATA: Final = 4096
"""Where the data page lies behind the start of the blob."""

# Offsets in the ucontext_t of Linux/x86-64 (sys/ucontext.h): uc_mcontext.gregs starts at 40.
_UC_RDI, _UC_RSP, _UC_RIP, _UC_R13 = 104, 160, 168, 80
# Offsets in siginfo_t.
_SI_CODE, _SI_ADDR = 8, 16
# System call numbers (asm/unistd_64.h).
_SYS_RT_SIGACTION, _SYS_GETTID, _SYS_TGKILL = 13, 186, 234

# From the context in r12 to that of the record in rax; clobbers rcx and rdx.
_SWITCH: Final = f"""\
  mov rcx, [rax+{Record.CONTEXT}]
  mov rdx, [r12+{Context.THREAD}]
  mov [rcx+{Context.THREAD}], rdx
  mov rdx, [r12+{Context.STACK_LIMIT}]
  mov [rcx+{Context.STACK_LIMIT}], rdx
  mov rdx, [r12+{Context.VALUES_LIMIT}]
  mov [rcx+{Context.VALUES_LIMIT}], rdx
  mov r12, rcx
  mov r14, [rcx+{Context.MEMORY}]"""


# What functions preserve and C functions do not.
_SAVED_VECTORS: Final = range(6, 13)
_SAVED_SIZE: Final = 16 * len(_SAVED_VECTORS) + 8
_SAVE: Final = "\n".join(
    (
        f"  sub rsp, {_SAVED_SIZE}",
        f"  mov [rsp+{_SAVED_SIZE - 8}], r10",
        *(f"  movups [rsp+{16 * i}], xmm{number}" for i, number in enumerate(_SAVED_VECTORS)),
    )
)
_RESTORE: Final = "\n".join(
    (
        *(f"  movups xmm{number}, [rsp+{16 * i}]" for i, number in enumerate(_SAVED_VECTORS)),
        f"  mov r10, [rsp+{_SAVED_SIZE - 8}]",
        f"  add rsp, {_SAVED_SIZE}",
    )
)

HOST_FRAME: Final = _SAVED_SIZE
"""Bytes between the stack pointer and the return address in `call_host` and `host_function`."""

OTHER_FRAME: Final = 8
"""The same in the switch to another instance: what lies above `other_return`."""


def stub(symbol: int, number: int, at: int) -> bytes:
    """`mov eax, number; jmp symbol`, to lie at an address near the symbol's."""
    distance = symbol - (at + STUB_SIZE)
    return b"\xb8" + number.to_bytes(4, "little") + b"\xe9" + distance.to_bytes(4, "little", signed=True)


STUB_SIZE: Final = 10


def _bulk(bits: int) -> str:
    """memory.fill and memory.copy for indices of so many bits: `fill32`, `copy32`, ... They are called with the operands
    in slots from the address in rax on, and the addresses of (base, length) pairs in rdx (and rcx, for the source).

    Bounds are checked first, so nothing is written if any byte lies outside. Only rax, rcx and rdx are clobbered.
    """
    count, index, source = ("ecx", "edi", "esi") if bits == 32 else ("rcx", "rdi", "rsi")
    out_of_bounds = layout.trap_number(TrapKind.MEMORY_OUT_OF_BOUNDS)
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
  ret
fill{bits}_outside:
  add rsp, 16
  mov eax, {out_of_bounds}
  jmp trap_here

.globl copy{bits}
copy{bits}:
  push rdi
  push rsi
  push rbx
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
  pop rbx
  pop rsi
  pop rdi
  ret
copy{bits}_outside:
  pop rbx
  pop rsi
  pop rdi
  mov eax, {out_of_bounds}
  jmp trap_here
"""


ASSEMBLY: Final = f"""
.intel_syntax noprefix
.text
blob_start:
  .quad 0

# int enter(thread, code, context, frame): call wasm code whose arguments lie in its frame.
# 0: it returned; results are in the frame or in Thread.RESULT. 1: it trapped, Thread.TRAP says how.
.globl enter
enter:
  push rbp
  mov rbp, rsp
  push rbx
  push r12
  push r13
  push r14
  push r15
  sub rsp, {Activation.SIZE + 40}
  # What the context said before this call, for calls nested in it: [rsp+32] context, +40 thread, +48 and +56 limits.
  mov [rsp+32], rdx
  mov rax, [rdx+{Context.THREAD}]
  mov [rsp+40], rax
  mov rax, [rdx+{Context.STACK_LIMIT}]
  mov [rsp+48], rax
  mov rax, [rdx+{Context.VALUES_LIMIT}]
  mov [rsp+56], rax
  mov [rsp+64], rdi
  mov rax, [rdi+{Thread.ACTIVATION}]
  mov [rsp+{Activation.PREVIOUS}], rax
  mov [rsp+{Activation.STACK}], rsp
  mov [rsp+{Activation.FRAME}], rbp
  lea rax, [rip+enter_trapped]
  mov [rsp+{Activation.LANDING}], rax
  mov [rdi+{Thread.ACTIVATION}], rsp
  mov [rdx+{Context.THREAD}], rdi
  mov rax, [rdi+{Thread.STACK_LIMIT}]
  mov [rdx+{Context.STACK_LIMIT}], rax
  mov rax, [rdi+{Thread.VALUES_LIMIT}]
  mov [rdx+{Context.VALUES_LIMIT}], rax
  mov r12, rdx
  mov r13, rcx
  mov r14, [rdx+{Context.MEMORY}]
  call rsi
enter_returned:
  mov rcx, [rsp+64]
  mov [rcx+{Thread.RESULT}], rdi
  movups [rcx+{Thread.RESULT_VECTOR}], xmm1
  xor eax, eax
  jmp enter_leave
enter_trapped:
  mov eax, 1
enter_leave:
  mov rdx, [rsp+32]
  mov rcx, [rsp+40]
  mov [rdx+{Context.THREAD}], rcx
  mov rcx, [rsp+48]
  mov [rdx+{Context.STACK_LIMIT}], rcx
  mov rcx, [rsp+56]
  mov [rdx+{Context.VALUES_LIMIT}], rcx
  mov rdi, [rsp+64]
  mov rcx, [rsp+{Activation.PREVIOUS}]
  mov [rdi+{Thread.ACTIVATION}], rcx
  add rsp, {Activation.SIZE + 40}
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  pop rbp
  ret

# Explicit traps: wasm code *calls* this with the trap's number in eax, so the return address is the place.
.globl trap
trap:
trap_here:
  mov rdi, [r12+{Context.THREAD}]
  pop rcx
  mov [rdi+{Thread.TRAP_PC}], rcx
  mov [rdi+{Thread.TRAP}], rax
  mov qword ptr [rdi+{Thread.TRAP_SIGNAL}], 0
  mov [rdi+{Thread.TRAP_STACK}], rsp
  mov [rdi+{Thread.TRAP_FRAME}], r13
# rdi: the thread. Keep a copy of the native stack for the wasm call stack, then go on in `enter`.
leave_by_trap:
  cld
  mov rdx, rdi
  mov rbx, [rdx+{Thread.ACTIVATION}]
  mov rsi, [rdx+{Thread.TRAP_STACK}]
  mov rcx, rbx
  sub rcx, rsi
  xor eax, eax
  cmovb rcx, rax
  mov eax, {Thread.STACK_COPY_SIZE}
  cmp rcx, rax
  cmova rcx, rax
  mov [rdx+{Thread.STACK_COPIED}], rcx
  lea rdi, [rdx+{Thread.STACK_COPY}]
  rep movsb
  mov rsp, [rbx+{Activation.STACK}]
  mov rbp, [rbx+{Activation.FRAME}]
  jmp [rbx+{Activation.LANDING}]

# Call of Python from wasm code: eax is the number of the service, its operands lie in the value stack.
# int call_host(context, service, frame) through ctypes; not 0 is RESUME, or a trap that Python has already described.
.globl call_host
call_host:
{_SAVE}
  call call_host_here
.globl service_returned
service_returned:
{_RESTORE}
  ret

call_host_here:
  mov rdx, [r12+{Context.THREAD}]
  mov [rdx+{Thread.TRAP_STACK}], rsp
  push rbp
  mov rbp, rsp
  and rsp, -16
  mov rdi, r12
  mov esi, eax
  mov rdx, r13
  call [r12+{Context.CALL_HOST}]
  mov rsp, rbp
  pop rbp
  # Python may have grown the memory.
  mov r14, [r12+{Context.MEMORY}]
  test eax, eax
  jnz call_host_special
  ret
call_host_special:
  cmp eax, {layout.RESUME}
  jne trap_here
  # A handler was found for an exception: its function goes on, whatever lay between is gone.
  mov rdi, [r12+{Context.THREAD}]
  mov rsp, [rdi+{Thread.RESUME_STACK}]
  mov r13, [rdi+{Thread.RESUME_FRAME}]
  mov r12, [rdi+{Thread.RESUME_CONTEXT}]
  mov r14, [r12+{Context.MEMORY}]
  jmp [rdi+{Thread.RESUME_PC}]

# A host function: a stub has put its number into eax. Like any function it preserves what functions preserve.
.globl host_function
host_function:
{_SAVE}
  call call_host_here
.globl host_returned
host_returned:
{_RESTORE}
  mov rdi, [r13]
  movups xmm1, [r13]
  ret

# A function that was not compiled yet: a stub has put its index into eax. It is compiled, then runs.
.globl compile_function
compile_function:
{_SAVE}
  mov edx, eax
  push rbp
  mov rbp, rsp
  and rsp, -16
  mov rdi, r12
  mov esi, {layout.COMPILE}
  call [r12+{Context.CALL_HOST}]
  mov rsp, rbp
  pop rbp
{_RESTORE}
  test eax, eax
  jnz trap_here
  mov rax, [r12+{Context.THREAD}]
  jmp [rax+{Thread.RESUME_PC}]

# Call a function by its record in rax, wherever it belongs.
.globl call_record
call_record:
  mov rcx, [rax+{Record.CONTEXT}]
  cmp rcx, r12
  je call_record_here
  test rcx, rcx
  jnz call_other
call_record_here:
  jmp [rax+{Record.CODE}]

# The same as a tail call: our frame is gone.
.globl jump_record
jump_record:
  mov rcx, [rax+{Record.CONTEXT}]
  cmp rcx, r12
  je call_record_here
  test rcx, rcx
  jz call_record_here
  jmp tail_other

# rax is the record of another instance's function. The callee's context gets the thread's limits.
call_other:
  push r12
{_SWITCH}
  call [rax+{Record.CODE}]
.globl other_return
other_return:
other_return_here:
  pop r12
  mov r14, [r12+{Context.MEMORY}]
  ret

# The same as a tail call: rax is the record, our frame is gone. If our own caller is `call_other`'s end already, nothing
# is left to restore for us; so the stack does not grow however often instances tail-call each other.
tail_other:
  lea rdx, [rip+other_return_here]
  cmp [rsp], rdx
  je tail_other_switch
  push r12
  push rdx
tail_other_switch:
{_SWITCH}
  jmp [rax+{Record.CODE}]

{_bulk(32)}
{_bulk(64)}

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
  cmp dword ptr [r12+{_SI_CODE}], 0
  jle fault_chain
  mov rax, [r13+{_UC_RIP}]
  sub rax, [r15+{Data.CODE_START}]
  cmp rax, [r15+{Data.CODE_SIZE}]
  jae fault_chain
  mov rdi, [r15+{Data.THREAD_KEY}]
  call [r15+{Data.GET_SPECIFIC}]
  test rax, rax
  jz fault_chain
  cmp qword ptr [rax+{Thread.ACTIVATION}], 0
  je fault_chain
  mov rcx, [r13+{_UC_RIP}]
  mov [rax+{Thread.TRAP_PC}], rcx
  mov rcx, [r12+{_SI_ADDR}]
  mov [rax+{Thread.TRAP_ADDRESS}], rcx
  mov [rax+{Thread.TRAP_SIGNAL}], rbx
  mov qword ptr [rax+{Thread.TRAP}], {layout.FAULT}
  mov rcx, [r13+{_UC_RSP}]
  mov [rax+{Thread.TRAP_STACK}], rcx
  mov rcx, [r13+{_UC_R13}]
  mov [rax+{Thread.TRAP_FRAME}], rcx
  mov [r13+{_UC_RDI}], rax
  lea rcx, [rip+leave_by_trap]
  mov [r13+{_UC_RIP}], rcx
  jmp fault_done
fault_chain:
  # Not ours: the handler that was there before, once; then the default action.
  mov rax, [r15+{Data.PREVIOUS}+rbx*8]
  cmp rax, 1
  jbe fault_default
  mov ecx, 1
  xchg [r15+{Data.CHAINING}], ecx
  test ecx, ecx
  jnz fault_default
  mov edi, ebx
  mov rsi, r12
  mov rdx, r13
  call rax
  mov dword ptr [r15+{Data.CHAINING}], 0
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
  mov eax, {_SYS_RT_SIGACTION}
  syscall
  add rsp, 48
  cmp dword ptr [r12+{_SI_CODE}], 0
  jg fault_done
  mov eax, {_SYS_GETTID}
  syscall
  mov esi, eax
  mov edi, [r15+{Data.PROCESS}]
  mov edx, ebx
  mov eax, {_SYS_TGKILL}
  syscall
fault_done:
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbx
  ret
.globl blob_end
blob_end:
"""

SYMBOLS: Final = (
    "enter",
    "enter_returned",
    "trap",
    "call_host",
    "call_record",
    "jump_record",
    "other_return",
    "host_function",
    "host_returned",
    "service_returned",
    "compile_function",
    "fill32",
    "fill64",
    "copy32",
    "copy64",
    "fault",
    "blob_end",
)
"""What the blob offers."""
