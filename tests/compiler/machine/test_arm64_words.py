"""The numbers that encode ARM64's instructions, as LLVM's assembler has them (`zig cc -target aarch64-linux-gnu -c`)."""

from __future__ import annotations

import pytest

from wasmine.compiler.machine.arm64 import assembly, words

ENCODED = {
    "movz x3, #0x1234": (words.movz(3, 0x1234), 0xD2824683),
    "movz x12, #0x8000, lsl #16": (words.movz(12, 0x8000, 16), 0xD2B0000C),
    "movn x9, #0": (words.movn(9, 0), 0x92800009),
    "movk x17, #0xbeef, lsl #48": (words.movk(17, 0xBEEF, 48), 0xF2F7DDF1),
    "mov x20, x13": (words.move(20, 13), 0xAA0D03F4),
    "mov w0, w24": (words.move_w(0, 24), 0x2A1803E0),
    "mov x29, sp": (words.move_sp(29, words.SP), 0x910003FD),
    "mov sp, x9": (words.move_sp(words.SP, 9), 0x9100013F),
    "add sp, sp, #80": (words.add_imm(words.SP, words.SP, 80), 0x910143FF),
    "add x10, x21, #4, lsl #12": (words.add_imm(10, 21, 4, shifted=True), 0x914012AA),
    "sub x21, x21, #4095": (words.sub_imm(21, 21, 4095), 0xD13FFEB5),
    "sub x21, x21, #1, lsl #12": (words.sub_imm(21, 21, 1, shifted=True), 0xD14006B5),
    "subs x10, x10, #32": (words.subs_imm(10, 10, 32), 0xF100814A),
    "cmp x16, #1": (words.cmp_imm(16, 1), 0xF100061F),
    "cmp w19, #3": (words.cmp_imm_w(19, 3), 0x71000E7F),
    "add x9, x9, x10": (words.add(9, 9, 10), 0x8B0A0129),
    "adds x17, x9, x10": (words.adds(17, 9, 10), 0xAB0A0131),
    "sub x17, x9, x16": (words.sub(17, 9, 16), 0xCB100131),
    "subs x5, x1, x4": (words.subs(5, 1, 4), 0xEB040025),
    "cmp x13, x20": (words.cmp(13, 20), 0xEB1401BF),
    "cmp w3, w16": (words.cmp_w(3, 16), 0x6B10007F),
    "cmp x0, w0, sxtw": (words.cmp_sxtw(0, 0), 0xEB20C01F),
    "cmp x3, w17, uxtw": (words.cmp_uxtw(3, 17), 0xEB31407F),
    "cmn x0, #1": (words.cmn_imm(0, 1), 0xB100041F),
    "cmp sp, x9": (words.cmp_sp(9), 0xEB2963FF),
    "bic x11, x0, x11": (words.bic(11, 0, 11), 0x8A2B000B),
    "and x9, x9, x10": (words.and_(9, 9, 10), 0x8A0A0129),
    "eor x11, x9, x9, lsr #8": (words.eor_lsr(11, 9, 9, 8), 0xCA49212B),
    "orr x9, x1, x2": (words.orr(9, 1, 2), 0xAA020029),
    "orr w12, w12, w9": (words.orr_w(12, 12, 9), 0x2A09018C),
    "lsl x10, x11, x10": (words.lsl(10, 11, 10), 0x9ACA216A),
    "lsl x9, x9, #4": (words.lsl_imm(9, 9, 4), 0xD37CED29),
    "lsr x3, x3, #16": (words.lsr_imm(3, 3, 16), 0xD350FC63),
    "ubfx x10, x9, #16, #4": (words.field(10, 9, 16, 4), 0xD3504D2A),
    "ubfx x9, x27, #3, #1": (words.field(9, 27, 3, 1), 0xD3430F69),
    "csel x5, x9, x5, hi": (words.csel(5, 9, 5, words.HI), 0x9A858125),
    "csel x5, xzr, x5, lo": (words.csel(5, words.ZERO, 5, words.LO), 0x9A8533E5),
    "ldr x22, [x20, #40]": (words.ldr(22, 20, 40), 0xF9401696),
    "ldr x9, [x13]": (words.ldr(9, 13), 0xF94001A9),
    "str x13, [x14, #32760]": (words.str_(13, 14, 32760), 0xF93FFDCD),
    "ldr w9, [x0, #108]": (words.ldr_w(9, 0, 108), 0xB9406C09),
    "str wzr, [x23, #112]": (words.str_w(words.ZERO, 23, 112), 0xB90072FF),
    "ldr q0, [x21, #32]": (words.ldr_q(0, 21, 32), 0x3DC00AA0),
    "str q0, [x26, #16]": (words.str_q(0, 26, 16), 0x3D800740),
    "ldr d0, [x26]": (words.ldr_d(0, 26), 0xFD400340),
    "str d0, [x26, #8]": (words.str_d(0, 26, 8), 0xFD000740),
    "ldr s0, [x26]": (words.ldr_s(0, 26), 0xBD400340),
    "str s31, [x26, #4]": (words.str_s(31, 26, 4), 0xBD00075F),
    "ldrsw x0, [x26, #4]": (words.ldrsw(0, 26, 4), 0xB9800740),
    "ldur x12, [x21, #-32]": (words.ldur(12, 21, -32), 0xF85E02AC),
    "stur x0, [x9, #-32]": (words.stur(0, 9, -32), 0xF81E0120),
    "stur q0, [x9, #-16]": (words.stur_q(0, 9, -16), 0x3C9F0120),
    "ldr x9, [x4], #8": (words.ldr_post(9, 4, 8), 0xF8408489),
    "str x5, [x3], #8": (words.str_post(5, 3, 8), 0xF8008465),
    "ldrb w8, [x16], #1": (words.ldrb_post(8, 16, 1), 0x38401608),
    "strb w8, [x9], #1": (words.strb_post(8, 9, 1), 0x38001528),
    "ldrb w8, [x16, #-1]!": (words.ldrb_pre(8, 16, -1), 0x385FFE08),
    "strb w8, [x9, #-1]!": (words.strb_pre(8, 9, -1), 0x381FFD28),
    "ldp x19, x23, [sp, #-16]": (words.ldp(19, 23, words.SP, -16), 0xA97F5FF3),
    "stp x27, x28, [sp, #80]": (words.stp(27, 28, words.SP, 80), 0xA90573FB),
    "ldp x29, x30, [sp], #160": (words.ldp_post(29, words.LINK, words.SP, 160), 0xA8CA7BFD),
    "stp x9, x10, [x3], #16": (words.stp_post(9, 10, 3, 16), 0xA8812869),
    "stp x29, x30, [sp, #-160]!": (words.stp_pre(29, words.LINK, words.SP, -160), 0xA9B67BFD),
    "ldp d8, d9, [sp, #96]": (words.ldp_d(8, 9, words.SP, 96), 0x6D4627E8),
    "stp d14, d15, [sp, #144]": (words.stp_d(14, 15, words.SP, 144), 0x6D093FEE),
    "ldp q8, q9, [sp]": (words.ldp_q(8, 9, words.SP), 0xAD4027E8),
    "stp q30, q31, [sp, #752]": (words.stp_q(30, 31, words.SP, 752), 0xAD17FFFE),
    "ldp q16, q17, [x16], #32": (words.ldp_q_post(16, 17, 16, 32), 0xACC14610),
    "stp q16, q17, [x9], #32": (words.stp_q_post(16, 17, 9, 32), 0xAC814530),
    "ldp q16, q17, [x16, #-32]!": (words.ldp_q_pre(16, 17, 16, -32), 0xADFF4610),
    "stp q16, q17, [x9, #-32]!": (words.stp_q_pre(16, 17, 9, -32), 0xADBF4530),
    "ldr x16, [x20, x17]": (words.ldr_at(16, 20, 17), 0xF8716A90),
    "str x16, [x21, x17]": (words.str_at(16, 21, 17), 0xF8316AB0),
    "ldr w16, [x21, x17]": (words.ldr_w_at(16, 21, 17), 0xB8716AB0),
    "str w16, [x21, x17]": (words.str_w_at(16, 21, 17), 0xB8316AB0),
    "ldr x16, [x9, x19, lsl #3]": (words.ldr_element(16, 9, 19), 0xF8737930),
    "str x3, [x12, x4, lsl #3]": (words.str_element(3, 12, 4), 0xF8247983),
    "ldrsw x13, [x12, x7, lsl #2]": (words.ldrsw_element(13, 12, 7), 0xB8A7798D),
    "ldaxr x9, [x13]": (words.ldaxr(9, 13), 0xC85FFDA9),
    "stlxr w10, x14, [x13]": (words.stlxr(10, 14, 13), 0xC80AFDAE),
    "ldaxr w12, [x9]": (words.ldaxr_w(12, 9), 0x885FFD2C),
    "stlxr w10, w12, [x9]": (words.stlxr_w(10, 12, 9), 0x880AFD2C),
    "stlr xzr, [x9]": (words.stlr(words.ZERO, 9), 0xC89FFD3F),
    "fmov x9, d0": (words.fmov_from_d(9, 0), 0x9E660009),
    "fmov d0, x9": (words.fmov_to_d(0, 9), 0x9E670120),
    "fcmp d0, d0": (words.fcmp_d(0, 0), 0x1E602000),
    "fcmp s1, s2": (words.fcmp_s(1, 2), 0x1E222020),
    "fcvt s0, d0": (words.fcvt_to_s(0, 0), 0x1E624000),
    "fcvt d0, s3": (words.fcvt_to_d(0, 3), 0x1E22C060),
    "dup v16.16b, w8": (words.dup_bytes(16, 8), 0x4E010D10),
    "b .+8": (words.b(8), 0x14000002),
    "b .-4": (words.b(-4), 0x17FFFFFF),
    "bl .+4096": (words.bl(4096), 0x94000400),
    "b.lo .-8": (words.b_if(words.LO, -8), 0x54FFFFC3),
    "b.le .+16": (words.b_if(words.LE, 16), 0x5400008D),
    "cbz x9, .+12": (words.cbz(9, 12), 0xB4000069),
    "cbnz x21, .-12": (words.cbnz(21, -12), 0xB5FFFFB5),
    "cbz w0, .+8": (words.cbz_w(0, 8), 0x34000040),
    "cbnz w10, .-8": (words.cbnz_w(10, -8), 0x35FFFFCA),
    "br x16": (words.br(16), 0xD61F0200),
    "blr x16": (words.blr(16), 0xD63F0200),
    "ret": (words.RET, 0xD65F03C0),
    "adr x9, .+1027": (words.adr(9, 1027), 0x70002009),
    "adr x12, .-6": (words.adr(12, -6), 0x50FFFFCC),
    "nop": (words.NOP, 0xD503201F),
    "clrex": (words.CLREX, 0xD5033F5F),
    "dmb ish": (words.DMB, 0xD5033BBF),
    "dsb ish": (words.DSB, 0xD5033B9F),
    "isb": (words.ISB, 0xD5033FDF),
    "svc #0": (words.SVC, 0xD4000001),
    "mrs x9, nzcv": (words.mrs(9, words.NZCV), 0xD53B4209),
    "msr fpcr, x10": (words.msr(words.FPCR, 10), 0xD51B440A),
    "mrs x9, fpsr": (words.mrs(9, words.FPSR), 0xD53B4429),
    "mrs x9, ctr_el0": (words.mrs(9, words.CACHE_TYPE), 0xD53B0029),
    "dc cvau, x11": (words.clean_data(11), 0xD50B7B2B),
    "ic ivau, x11": (words.invalidate_code(11), 0xD50B752B),
}


@pytest.mark.parametrize("text", ENCODED)
def test_an_instruction_is_encoded_as_the_assembler_does(text: str) -> None:
    found, expected = ENCODED[text]
    assert f"{found:08x}" == f"{expected:08x}"


def _run(instructions: list[int]) -> int:
    """What moves of 16 bits leave in a register."""
    value = 0
    for word in instructions:
        part, shift = word >> 5 & 0xFFFF, (word >> 21 & 3) * 16
        if word >> 23 & 0xFF == 0xE5:  # movk
            value = value & ~(0xFFFF << shift) | part << shift
        else:
            value = part << shift
            if word >> 23 & 0xFF == 0x25:  # movn
                value ^= (1 << 64) - 1
    return value


@pytest.mark.parametrize(
    "value", [0, 1, -1, 0xFFFF, 0x10000, -0x10000, 0x12345678, -(1 << 31), 1 << 63, -2, 0xFFFF0000FFFF]
)
def test_a_constant_is_made_of_few_moves(value: int) -> None:
    made = words.constant(9, value)
    assert _run(made) == value & (1 << 64) - 1
    assert {word & 31 for word in made} == {9}
    parts = [value >> shift & 0xFFFF for shift in (0, 16, 32, 48)]
    assert len(made) == max(1, 4 - max(parts.count(0), parts.count(0xFFFF)))


@pytest.mark.parametrize(
    ("instruction", "limit"),
    [
        (words.b(), 1 << 27),
        (words.bl(), 1 << 27),
        (words.b_if(words.NE), 1 << 20),
        (words.cbz(3), 1 << 20),
        (words.adr(3), 1 << 20),
    ],
)
def test_a_jump_reaches_as_far_as_its_field_and_no_farther(instruction: int, limit: int) -> None:
    assert assembly.reach(instruction, 0) == instruction
    for distance in (limit - 4, -limit):
        assert assembly.reach(assembly.reach(instruction, distance), 0) == instruction
    for distance in (limit, -limit - 4):
        with pytest.raises(ValueError, match=str(distance)):
            assembly.reach(instruction, distance)


def test_a_label_is_there_once() -> None:
    to = assembly.Assembly()
    to.label("here")
    with pytest.raises(ValueError, match="here twice"):
        to.label("here")


def test_jumps_lead_to_labels_before_and_behind() -> None:
    to = assembly.Assembly()
    to.label("back", public=True)
    to.to("on", words.b())
    to(words.NOP)
    to.to("back", words.cbz(1))
    to.label("on", public=True)
    code = to.finish()
    found = [int.from_bytes(code[at : at + 4], "little") for at in range(0, len(code), 4)]
    assert found == [words.b(12), words.NOP, words.cbz(1, -8)]
    assert to.public == {"back": 0, "on": 12}
