"""The steps of programs that convert values: from Python objects to slots (`take_...`) and back (`box_...`).

A step is jumped to, and jumps to the next one (`NEXT`). Registers: rbp the place in the program, behind the step's own
address; rbx the place of the object's address, r12 that of the slot, both moved on by the step; r13 where to go if the
step cannot do it; r14 the data page; r15 the thread block. The stack is aligned for calls, the GIL is held.

At r13, eax is 0 if Python has to do it, for a value of an unusual type or a wrong one; or 1 if there is an exception.
"""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine.layout import Data

NEXT: Final = """\
  add rbp, 8
  jmp [rbp-8]"""
"""Go on with the next step, for a step without operands. rax and what belongs to the processor's state stay."""


def skip(operands: int) -> str:
    """The same for a step with some operands."""
    return f"""\
  add rbp, {8 * (operands + 1)}
  jmp [rbp-8]"""


# The address of an object's type into rax, the object in rdi.
_TYPE: Final = f"""\
  mov rax, [r14+{Data.TYPE}]
  mov rax, [rdi+rax]"""

# Minus one is also what errors give. With rax -1: go to `wrong` if there is one.
_CHECK_ERROR: Final = f"""\
  call [r14+{Data.ERROR_OCCURRED}]
  test rax, rax"""


def _take_integer(name: str, store: str, wrong: str) -> str:
    """Numbers that are exactly int or bool: what else has `__index__` would run Python code here."""
    return f"""
.globl take_{name}
take_{name}:
  mov rdi, [rbx]
  mov rdx, [r14+{Data.TYPE}]
  mov rax, [rdi+rdx]
  cmp rax, [r14+{Data.INT}]
  jne take_{name}_bool
  # One digit and not negative, as most are: it is here.
  xor ecx, ecx
  mov rax, [rdi+rdx+8]
  and rax, [r14+{Data.INT_MASK}]
  sub rax, [r14+{Data.INT_ZERO}]
  cmp rax, [r14+{Data.INT_DIGIT}]
  ja take_{name}_exact
  mov eax, [rdi+rdx+16]
  cmovne eax, ecx
take_{name}_store:
  mov [r12], rax
  add rbx, 8
  add r12, 8
{NEXT}
take_{name}_exact:
  call [r14+{Data.INT_TO_SIGNED}]
  cmp rax, -1
  je take_{name}_minus_one
take_{name}_number:
{store}
  jmp take_{name}_store
take_{name}_bool:
  cmp rax, [r14+{Data.BOOL}]
  je take_{name}_exact
  jmp unfit
take_{name}_minus_one:
{_CHECK_ERROR}
  mov rax, -1
  jz take_{name}_number
{wrong}
"""


def _take_float(name: str, store: str) -> str:
    """Numbers that are exactly float or int."""
    return f"""
.globl take_{name}
take_{name}:
  mov rdi, [rbx]
{_TYPE}
  cmp rax, [r14+{Data.FLOAT}]
  jne take_{name}_int
take_{name}_exact:
  call [r14+{Data.FLOAT_TO_DOUBLE}]
  movq rax, xmm0
  movabs rcx, 0xBFF0000000000000
  cmp rax, rcx
  je take_{name}_minus_one
take_{name}_number:
{store}
  add rbx, 8
  add r12, 8
{NEXT}
take_{name}_int:
  cmp rax, [r14+{Data.INT}]
  je take_{name}_exact
  jmp unfit
take_{name}_minus_one:
{_CHECK_ERROR}
  jnz unfit_clear
  movabs rax, 0xBFF0000000000000
  movq xmm0, rax
  jmp take_{name}_number
"""


def _box(name: str, convert: str, size: int = 8) -> str:
    return f"""
.globl box_{name}
box_{name}:
{convert}
  test rax, rax
  jz failed
  mov [rbx], rax
  add rbx, 8
  add r12, {size}
{NEXT}
"""


# A register holds zeros above an i32, and the result of a host function goes from here into one.
_I32_RANGE: Final = """\
  movsxd rcx, eax
  cmp rcx, rax
  je 1f
  mov ecx, eax
  cmp rcx, rax
  jne unfit
1:
  mov eax, eax"""

# Too large for a signed number.
_UNSIGNED: Final = f"""\
  call [r14+{Data.ERROR_CLEAR}]
  mov rdi, [rbx]
  call [r14+{Data.INT_TO_UNSIGNED}]
  cmp rax, -1
  jne take_i64_number
{_CHECK_ERROR}
  mov rax, -1
  jz take_i64_number
  jmp unfit_clear"""

# NaNs keep their payloads, which conversions between the formats do not see to: Python does it.
_STORE_F32: Final = """\
  ucomisd xmm0, xmm0
  jp unfit
  cvtsd2ss xmm0, xmm0
  movss [r12], xmm0"""

_BOX_F32: Final = f"""\
  movss xmm0, [r12]
  ucomiss xmm0, xmm0
  jp 1f
  cvtss2sd xmm0, xmm0
2:
  call [r14+{Data.FLOAT_FROM_DOUBLE}]
  jmp 3f
1:
  # A NaN, quiet or not: sign, exponent of ones, payload.
  mov eax, [r12]
  mov ecx, eax
  shr ecx, 31
  shl rcx, 63
  and eax, 0x7FFFFF
  shl rax, 29
  or rax, rcx
  movabs rcx, 0x7FF0000000000000
  or rax, rcx
  movq xmm0, rax
  jmp 2b
3:"""

# A reference is the object's address.
_BOX_REFERENCE: Final = f"""
.globl box_reference
box_reference:
  mov rdi, [r12]
  test rdi, rdi
  jnz 1f
  mov rdi, [r14+{Data.NONE}]
1:
  mov [rbx], rdi
  call [r14+{Data.INCREF}]
  mov rax, [rbx]
  add rbx, 8
  add r12, 8
{NEXT}
"""

_BOX_FUNCTION: Final = f"""\
  mov rdi, [r12]
  test rdi, rdi
  jz 1f
  call [r14+{Data.INT_FROM_UNSIGNED}]
  test rax, rax
  jz failed
  sub rsp, 16
  mov [rsp], rax
  mov rdi, [rbp]
  mov rsi, rax
  xor edx, edx
  xor eax, eax
  call [r14+{Data.CALL_OBJECTS}]
  mov [rsp+8], rax
  mov rdi, [rsp]
  call [r14+{Data.DECREF}]
  mov rax, [rsp+8]
  add rsp, 16
  jmp 2f
1:
  mov rdi, [r14+{Data.NONE}]
  call [r14+{Data.INCREF}]
  mov rax, [r14+{Data.NONE}]
2:
  add rbp, 8"""

_TAKE_VECTOR: Final = f"""
# A v128 is exactly bytes of 16.
.globl take_v128
take_v128:
  mov rdi, [rbx]
{_TYPE}
  cmp rax, [r14+{Data.BYTES}]
  jne unfit
  call [r14+{Data.BYTES_SIZE}]
  cmp rax, 16
  jne unfit
  mov rdi, [rbx]
  call [r14+{Data.BYTES_START}]
  movups xmm0, [rax]
  movups [r12], xmm0
  add rbx, 8
  add r12, 16
{NEXT}
"""

_TAKE_REFERENCE: Final = f"""
# Operands: where the address of a `references.Known` stands, and the function that gives the reference for any other
# object, or -1 if Python has to do it.
.globl take_reference
take_reference:
  mov rdi, [rbx]
  xor eax, eax
  cmp rdi, [r14+{Data.NONE}]
  je take_reference_store
  mov rcx, [rbp]
  mov rcx, [rcx]
  mov rdx, rdi
  shr rdx, 8
  xor rdx, rdi
  shr rdx, 4
take_reference_more:
  and rdx, [rcx]
  mov rax, [rcx+rdx*8+8]
  cmp rax, rdi
  je take_reference_store
  inc rdx
  test rax, rax
  jnz take_reference_more
  jmp take_reference_new
take_reference_store:
  mov [r12], rax
  add rbx, 8
  add r12, 8
{skip(2)}
take_reference_new:
  mov rdi, [rbp+8]
  mov rsi, [rbx]
  xor edx, edx
  xor eax, eax
  call [r14+{Data.CALL_OBJECTS}]
  test rax, rax
  jz failed
  sub rsp, 16
  mov [rsp], rax
  mov rdi, rax
  call [r14+{Data.INT_TO_SIGNED}]
  mov rdi, [rsp]
  mov [rsp], rax
  call [r14+{Data.DECREF}]
  mov rax, [rsp]
  add rsp, 16
  cmp rax, -1
  jne take_reference_store
  jmp unfit
"""

STEPS: Final = f"""\
unfit_clear:
  call [r14+{Data.ERROR_CLEAR}]
unfit:
  xor eax, eax
  jmp r13
failed:
  mov eax, 1
  jmp r13
{_take_integer("i32", _I32_RANGE, "  jmp unfit_clear")}
{_take_integer("i64", "", _UNSIGNED)}
{_take_float("f64", "  movsd [r12], xmm0")}
{_take_float("f32", _STORE_F32)}
{_TAKE_VECTOR}
{_TAKE_REFERENCE}
{_box("i32", f"  movsxd rdi, dword ptr [r12]{chr(10)}  call [r14+{Data.INT_FROM_SIGNED}]")}
{_box("i64", f"  mov rdi, [r12]{chr(10)}  call [r14+{Data.INT_FROM_SIGNED}]")}
{_box("f64", f"  movsd xmm0, [r12]{chr(10)}  call [r14+{Data.FLOAT_FROM_DOUBLE}]")}
{_box("f32", _BOX_F32)}
{_box("v128", f"  mov rdi, r12{chr(10)}  mov esi, 16{chr(10)}  call [r14+{Data.BYTES_NEW}]", 16)}
{_BOX_REFERENCE}
# Operand: the function that finds the function of a record.
{_box("function", _BOX_FUNCTION)}
"""
