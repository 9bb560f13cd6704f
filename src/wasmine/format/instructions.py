"""THE table of instructions: opcode, name, immediates, stack signature, feature. Nobody keeps a second list.

The reader of bodies (the typed walk), the text parser and printer, both engines and the documentation are driven by it.
A row of `_TABLE` is

    OPCODE  NAME  IMMEDIATES  SIGNATURE

`OPCODE` is hexadecimal, `PREFIX:SUB` for prefixed ones. Rows below a line `@feature` need that feature (a field of
`Features`; rows before the first such line are in every version).

Immediates, in the order of the binary format (the text format's order differs for a few, see `format/text`):

    block            block type                       label            label index
    labels           labels of br_table, default last func type table local global memory tag elem data field: an index
    memarg:N         alignment, memory, offset; natural alignment 2^N bytes
    lane:N           lane index below N               lanes            16 lane indices below 32
    i32 i64          signed LEB128                    f32 f64 v128     4, 8, 16 bytes
    heap             heap type                        ref refnull      heap type of a (non-)nullable reference
    castop           br_on_cast's flags, label and two reference types
    valtypes         select's vector of value types   catches          try_table's handlers
    count            u32                              zero             a reserved zero byte

Signature letters: `i I f F v` are i32 i64 f32 f64 v128, `a` is the address type (i32 or i64) of the memory that the
immediates name. `*` marks the instructions whose types depend on the context: the typed walk knows each of them by name.
Source: the WebAssembly 3.0 specification, appendix "Index of Instructions", and the proposals named by the features.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wasmine.record import record

_TABLE: Final = """
00      unreachable                                             *
01      nop                                                     ->
02      block                             block                 *
03      loop                              block                 *
04      if                                block                 *
05      else                                                    *
0B      end                                                     *
0C      br                                label                 *
0D      br_if                             label                 *
0E      br_table                          labels                *
0F      return                                                  *
10      call                              func                  *
11      call_indirect                     type table            *
1A      drop                                                    *
1B      select                                                  *
20      local.get                         local                 *
21      local.set                         local                 *
22      local.tee                         local                 *
23      global.get                        global                *
24      global.set                        global                *
28      i32.load                          memarg:2              a -> i
29      i64.load                          memarg:3              a -> I
2A      f32.load                          memarg:2              a -> f
2B      f64.load                          memarg:3              a -> F
2C      i32.load8_s                       memarg:0              a -> i
2D      i32.load8_u                       memarg:0              a -> i
2E      i32.load16_s                      memarg:1              a -> i
2F      i32.load16_u                      memarg:1              a -> i
30      i64.load8_s                       memarg:0              a -> I
31      i64.load8_u                       memarg:0              a -> I
32      i64.load16_s                      memarg:1              a -> I
33      i64.load16_u                      memarg:1              a -> I
34      i64.load32_s                      memarg:2              a -> I
35      i64.load32_u                      memarg:2              a -> I
36      i32.store                         memarg:2              ai ->
37      i64.store                         memarg:3              aI ->
38      f32.store                         memarg:2              af ->
39      f64.store                         memarg:3              aF ->
3A      i32.store8                        memarg:0              ai ->
3B      i32.store16                       memarg:1              ai ->
3C      i64.store8                        memarg:0              aI ->
3D      i64.store16                       memarg:1              aI ->
3E      i64.store32                       memarg:2              aI ->
3F      memory.size                       memory                -> a
40      memory.grow                       memory                a -> a
41      i32.const                         i32                   -> i
42      i64.const                         i64                   -> I
43      f32.const                         f32                   -> f
44      f64.const                         f64                   -> F
45      i32.eqz                                                 i -> i
46      i32.eq                                                  ii -> i
47      i32.ne                                                  ii -> i
48      i32.lt_s                                                ii -> i
49      i32.lt_u                                                ii -> i
4A      i32.gt_s                                                ii -> i
4B      i32.gt_u                                                ii -> i
4C      i32.le_s                                                ii -> i
4D      i32.le_u                                                ii -> i
4E      i32.ge_s                                                ii -> i
4F      i32.ge_u                                                ii -> i
50      i64.eqz                                                 I -> i
51      i64.eq                                                  II -> i
52      i64.ne                                                  II -> i
53      i64.lt_s                                                II -> i
54      i64.lt_u                                                II -> i
55      i64.gt_s                                                II -> i
56      i64.gt_u                                                II -> i
57      i64.le_s                                                II -> i
58      i64.le_u                                                II -> i
59      i64.ge_s                                                II -> i
5A      i64.ge_u                                                II -> i
5B      f32.eq                                                  ff -> i
5C      f32.ne                                                  ff -> i
5D      f32.lt                                                  ff -> i
5E      f32.gt                                                  ff -> i
5F      f32.le                                                  ff -> i
60      f32.ge                                                  ff -> i
61      f64.eq                                                  FF -> i
62      f64.ne                                                  FF -> i
63      f64.lt                                                  FF -> i
64      f64.gt                                                  FF -> i
65      f64.le                                                  FF -> i
66      f64.ge                                                  FF -> i
67      i32.clz                                                 i -> i
68      i32.ctz                                                 i -> i
69      i32.popcnt                                              i -> i
6A      i32.add                                                 ii -> i
6B      i32.sub                                                 ii -> i
6C      i32.mul                                                 ii -> i
6D      i32.div_s                                               ii -> i
6E      i32.div_u                                               ii -> i
6F      i32.rem_s                                               ii -> i
70      i32.rem_u                                               ii -> i
71      i32.and                                                 ii -> i
72      i32.or                                                  ii -> i
73      i32.xor                                                 ii -> i
74      i32.shl                                                 ii -> i
75      i32.shr_s                                               ii -> i
76      i32.shr_u                                               ii -> i
77      i32.rotl                                                ii -> i
78      i32.rotr                                                ii -> i
79      i64.clz                                                 I -> I
7A      i64.ctz                                                 I -> I
7B      i64.popcnt                                              I -> I
7C      i64.add                                                 II -> I
7D      i64.sub                                                 II -> I
7E      i64.mul                                                 II -> I
7F      i64.div_s                                               II -> I
80      i64.div_u                                               II -> I
81      i64.rem_s                                               II -> I
82      i64.rem_u                                               II -> I
83      i64.and                                                 II -> I
84      i64.or                                                  II -> I
85      i64.xor                                                 II -> I
86      i64.shl                                                 II -> I
87      i64.shr_s                                               II -> I
88      i64.shr_u                                               II -> I
89      i64.rotl                                                II -> I
8A      i64.rotr                                                II -> I
8B      f32.abs                                                 f -> f
8C      f32.neg                                                 f -> f
8D      f32.ceil                                                f -> f
8E      f32.floor                                               f -> f
8F      f32.trunc                                               f -> f
90      f32.nearest                                             f -> f
91      f32.sqrt                                                f -> f
92      f32.add                                                 ff -> f
93      f32.sub                                                 ff -> f
94      f32.mul                                                 ff -> f
95      f32.div                                                 ff -> f
96      f32.min                                                 ff -> f
97      f32.max                                                 ff -> f
98      f32.copysign                                            ff -> f
99      f64.abs                                                 F -> F
9A      f64.neg                                                 F -> F
9B      f64.ceil                                                F -> F
9C      f64.floor                                               F -> F
9D      f64.trunc                                               F -> F
9E      f64.nearest                                             F -> F
9F      f64.sqrt                                                F -> F
A0      f64.add                                                 FF -> F
A1      f64.sub                                                 FF -> F
A2      f64.mul                                                 FF -> F
A3      f64.div                                                 FF -> F
A4      f64.min                                                 FF -> F
A5      f64.max                                                 FF -> F
A6      f64.copysign                                            FF -> F
A7      i32.wrap_i64                                            I -> i
A8      i32.trunc_f32_s                                         f -> i
A9      i32.trunc_f32_u                                         f -> i
AA      i32.trunc_f64_s                                         F -> i
AB      i32.trunc_f64_u                                         F -> i
AC      i64.extend_i32_s                                        i -> I
AD      i64.extend_i32_u                                        i -> I
AE      i64.trunc_f32_s                                         f -> I
AF      i64.trunc_f32_u                                         f -> I
B0      i64.trunc_f64_s                                         F -> I
B1      i64.trunc_f64_u                                         F -> I
B2      f32.convert_i32_s                                       i -> f
B3      f32.convert_i32_u                                       i -> f
B4      f32.convert_i64_s                                       I -> f
B5      f32.convert_i64_u                                       I -> f
B6      f32.demote_f64                                          F -> f
B7      f64.convert_i32_s                                       i -> F
B8      f64.convert_i32_u                                       i -> F
B9      f64.convert_i64_s                                       I -> F
BA      f64.convert_i64_u                                       I -> F
BB      f64.promote_f32                                         f -> F
BC      i32.reinterpret_f32                                     f -> i
BD      i64.reinterpret_f64                                     F -> I
BE      f32.reinterpret_i32                                     i -> f
BF      f64.reinterpret_i64                                     I -> F
@sign_extension_ops
C0      i32.extend8_s                                           i -> i
C1      i32.extend16_s                                          i -> i
C2      i64.extend8_s                                           I -> I
C3      i64.extend16_s                                          I -> I
C4      i64.extend32_s                                          I -> I
@nontrapping_float_to_int_conversion
FC:00   i32.trunc_sat_f32_s                                     f -> i
FC:01   i32.trunc_sat_f32_u                                     f -> i
FC:02   i32.trunc_sat_f64_s                                     F -> i
FC:03   i32.trunc_sat_f64_u                                     F -> i
FC:04   i64.trunc_sat_f32_s                                     f -> I
FC:05   i64.trunc_sat_f32_u                                     f -> I
FC:06   i64.trunc_sat_f64_s                                     F -> I
FC:07   i64.trunc_sat_f64_u                                     F -> I
@bulk_memory_operations
FC:08   memory.init                       data memory           aii ->
FC:09   data.drop                         data                  ->
FC:0A   memory.copy                       memory memory         *
FC:0B   memory.fill                       memory                aia ->
FC:0C   table.init                        elem table            *
FC:0D   elem.drop                         elem                  ->
FC:0E   table.copy                        table table           *
@reference_types
1C      select                            valtypes              *
25      table.get                         table                 *
26      table.set                         table                 *
D0      ref.null                          heap                  *
D1      ref.is_null                                             *
D2      ref.func                          func                  *
FC:0F   table.grow                        table                 *
FC:10   table.size                        table                 *
FC:11   table.fill                        table                 *
@tail_call
12      return_call                       func                  *
13      return_call_indirect              type table            *
@function_references
14      call_ref                          type                  *
15      return_call_ref                   type                  *
D4      ref.as_non_null                                         *
D5      br_on_null                        label                 *
D6      br_on_non_null                    label                 *
@exception_handling
08      throw                             tag                   *
0A      throw_ref                                               *
1F      try_table                         block catches         *
@legacy_exceptions
06      try                               block                 *
07      catch                             tag                   *
09      rethrow                           label                 *
18      delegate                          label                 *
19      catch_all                                               *
@gc
D3      ref.eq                                                  *
FB:00   struct.new                        type                  *
FB:01   struct.new_default                type                  *
FB:02   struct.get                        type field            *
FB:03   struct.get_s                      type field            *
FB:04   struct.get_u                      type field            *
FB:05   struct.set                        type field            *
FB:06   array.new                         type                  *
FB:07   array.new_default                 type                  *
FB:08   array.new_fixed                   type count            *
FB:09   array.new_data                    type data             *
FB:0A   array.new_elem                    type elem             *
FB:0B   array.get                         type                  *
FB:0C   array.get_s                       type                  *
FB:0D   array.get_u                       type                  *
FB:0E   array.set                         type                  *
FB:0F   array.len                                               *
FB:10   array.fill                        type                  *
FB:11   array.copy                        type type             *
FB:12   array.init_data                   type data             *
FB:13   array.init_elem                   type elem             *
FB:14   ref.test                          ref                   *
FB:15   ref.test                          refnull               *
FB:16   ref.cast                          ref                   *
FB:17   ref.cast                          refnull               *
FB:18   br_on_cast                        castop                *
FB:19   br_on_cast_fail                   castop                *
FB:1A   any.convert_extern                                      *
FB:1B   extern.convert_any                                      *
FB:1C   ref.i31                                                 *
FB:1D   i31.get_s                                               *
FB:1E   i31.get_u                                               *
@simd
FD:00   v128.load                         memarg:4              a -> v
FD:01   v128.load8x8_s                    memarg:3              a -> v
FD:02   v128.load8x8_u                    memarg:3              a -> v
FD:03   v128.load16x4_s                   memarg:3              a -> v
FD:04   v128.load16x4_u                   memarg:3              a -> v
FD:05   v128.load32x2_s                   memarg:3              a -> v
FD:06   v128.load32x2_u                   memarg:3              a -> v
FD:07   v128.load8_splat                  memarg:0              a -> v
FD:08   v128.load16_splat                 memarg:1              a -> v
FD:09   v128.load32_splat                 memarg:2              a -> v
FD:0A   v128.load64_splat                 memarg:3              a -> v
FD:0B   v128.store                        memarg:4              av ->
FD:0C   v128.const                        v128                  -> v
FD:0D   i8x16.shuffle                     lanes                 vv -> v
FD:0E   i8x16.swizzle                                           vv -> v
FD:0F   i8x16.splat                                             i -> v
FD:10   i16x8.splat                                             i -> v
FD:11   i32x4.splat                                             i -> v
FD:12   i64x2.splat                                             I -> v
FD:13   f32x4.splat                                             f -> v
FD:14   f64x2.splat                                             F -> v
FD:15   i8x16.extract_lane_s              lane:16               v -> i
FD:16   i8x16.extract_lane_u              lane:16               v -> i
FD:17   i8x16.replace_lane                lane:16               vi -> v
FD:18   i16x8.extract_lane_s              lane:8                v -> i
FD:19   i16x8.extract_lane_u              lane:8                v -> i
FD:1A   i16x8.replace_lane                lane:8                vi -> v
FD:1B   i32x4.extract_lane                lane:4                v -> i
FD:1C   i32x4.replace_lane                lane:4                vi -> v
FD:1D   i64x2.extract_lane                lane:2                v -> I
FD:1E   i64x2.replace_lane                lane:2                vI -> v
FD:1F   f32x4.extract_lane                lane:4                v -> f
FD:20   f32x4.replace_lane                lane:4                vf -> v
FD:21   f64x2.extract_lane                lane:2                v -> F
FD:22   f64x2.replace_lane                lane:2                vF -> v
FD:23   i8x16.eq                                                vv -> v
FD:24   i8x16.ne                                                vv -> v
FD:25   i8x16.lt_s                                              vv -> v
FD:26   i8x16.lt_u                                              vv -> v
FD:27   i8x16.gt_s                                              vv -> v
FD:28   i8x16.gt_u                                              vv -> v
FD:29   i8x16.le_s                                              vv -> v
FD:2A   i8x16.le_u                                              vv -> v
FD:2B   i8x16.ge_s                                              vv -> v
FD:2C   i8x16.ge_u                                              vv -> v
FD:2D   i16x8.eq                                                vv -> v
FD:2E   i16x8.ne                                                vv -> v
FD:2F   i16x8.lt_s                                              vv -> v
FD:30   i16x8.lt_u                                              vv -> v
FD:31   i16x8.gt_s                                              vv -> v
FD:32   i16x8.gt_u                                              vv -> v
FD:33   i16x8.le_s                                              vv -> v
FD:34   i16x8.le_u                                              vv -> v
FD:35   i16x8.ge_s                                              vv -> v
FD:36   i16x8.ge_u                                              vv -> v
FD:37   i32x4.eq                                                vv -> v
FD:38   i32x4.ne                                                vv -> v
FD:39   i32x4.lt_s                                              vv -> v
FD:3A   i32x4.lt_u                                              vv -> v
FD:3B   i32x4.gt_s                                              vv -> v
FD:3C   i32x4.gt_u                                              vv -> v
FD:3D   i32x4.le_s                                              vv -> v
FD:3E   i32x4.le_u                                              vv -> v
FD:3F   i32x4.ge_s                                              vv -> v
FD:40   i32x4.ge_u                                              vv -> v
FD:41   f32x4.eq                                                vv -> v
FD:42   f32x4.ne                                                vv -> v
FD:43   f32x4.lt                                                vv -> v
FD:44   f32x4.gt                                                vv -> v
FD:45   f32x4.le                                                vv -> v
FD:46   f32x4.ge                                                vv -> v
FD:47   f64x2.eq                                                vv -> v
FD:48   f64x2.ne                                                vv -> v
FD:49   f64x2.lt                                                vv -> v
FD:4A   f64x2.gt                                                vv -> v
FD:4B   f64x2.le                                                vv -> v
FD:4C   f64x2.ge                                                vv -> v
FD:4D   v128.not                                                v -> v
FD:4E   v128.and                                                vv -> v
FD:4F   v128.andnot                                             vv -> v
FD:50   v128.or                                                 vv -> v
FD:51   v128.xor                                                vv -> v
FD:52   v128.bitselect                                          vvv -> v
FD:53   v128.any_true                                           v -> i
FD:54   v128.load8_lane                   memarg:0 lane:16      av -> v
FD:55   v128.load16_lane                  memarg:1 lane:8       av -> v
FD:56   v128.load32_lane                  memarg:2 lane:4       av -> v
FD:57   v128.load64_lane                  memarg:3 lane:2       av -> v
FD:58   v128.store8_lane                  memarg:0 lane:16      av ->
FD:59   v128.store16_lane                 memarg:1 lane:8       av ->
FD:5A   v128.store32_lane                 memarg:2 lane:4       av ->
FD:5B   v128.store64_lane                 memarg:3 lane:2       av ->
FD:5C   v128.load32_zero                  memarg:2              a -> v
FD:5D   v128.load64_zero                  memarg:3              a -> v
FD:5E   f32x4.demote_f64x2_zero                                 v -> v
FD:5F   f64x2.promote_low_f32x4                                 v -> v
FD:60   i8x16.abs                                               v -> v
FD:61   i8x16.neg                                               v -> v
FD:62   i8x16.popcnt                                            v -> v
FD:63   i8x16.all_true                                          v -> i
FD:64   i8x16.bitmask                                           v -> i
FD:65   i8x16.narrow_i16x8_s                                    vv -> v
FD:66   i8x16.narrow_i16x8_u                                    vv -> v
FD:67   f32x4.ceil                                              v -> v
FD:68   f32x4.floor                                             v -> v
FD:69   f32x4.trunc                                             v -> v
FD:6A   f32x4.nearest                                           v -> v
FD:6B   i8x16.shl                                               vi -> v
FD:6C   i8x16.shr_s                                             vi -> v
FD:6D   i8x16.shr_u                                             vi -> v
FD:6E   i8x16.add                                               vv -> v
FD:6F   i8x16.add_sat_s                                         vv -> v
FD:70   i8x16.add_sat_u                                         vv -> v
FD:71   i8x16.sub                                               vv -> v
FD:72   i8x16.sub_sat_s                                         vv -> v
FD:73   i8x16.sub_sat_u                                         vv -> v
FD:74   f64x2.ceil                                              v -> v
FD:75   f64x2.floor                                             v -> v
FD:76   i8x16.min_s                                             vv -> v
FD:77   i8x16.min_u                                             vv -> v
FD:78   i8x16.max_s                                             vv -> v
FD:79   i8x16.max_u                                             vv -> v
FD:7A   f64x2.trunc                                             v -> v
FD:7B   i8x16.avgr_u                                            vv -> v
FD:7C   i16x8.extadd_pairwise_i8x16_s                           v -> v
FD:7D   i16x8.extadd_pairwise_i8x16_u                           v -> v
FD:7E   i32x4.extadd_pairwise_i16x8_s                           v -> v
FD:7F   i32x4.extadd_pairwise_i16x8_u                           v -> v
FD:80   i16x8.abs                                               v -> v
FD:81   i16x8.neg                                               v -> v
FD:82   i16x8.q15mulr_sat_s                                     vv -> v
FD:83   i16x8.all_true                                          v -> i
FD:84   i16x8.bitmask                                           v -> i
FD:85   i16x8.narrow_i32x4_s                                    vv -> v
FD:86   i16x8.narrow_i32x4_u                                    vv -> v
FD:87   i16x8.extend_low_i8x16_s                                v -> v
FD:88   i16x8.extend_high_i8x16_s                               v -> v
FD:89   i16x8.extend_low_i8x16_u                                v -> v
FD:8A   i16x8.extend_high_i8x16_u                               v -> v
FD:8B   i16x8.shl                                               vi -> v
FD:8C   i16x8.shr_s                                             vi -> v
FD:8D   i16x8.shr_u                                             vi -> v
FD:8E   i16x8.add                                               vv -> v
FD:8F   i16x8.add_sat_s                                         vv -> v
FD:90   i16x8.add_sat_u                                         vv -> v
FD:91   i16x8.sub                                               vv -> v
FD:92   i16x8.sub_sat_s                                         vv -> v
FD:93   i16x8.sub_sat_u                                         vv -> v
FD:94   f64x2.nearest                                           v -> v
FD:95   i16x8.mul                                               vv -> v
FD:96   i16x8.min_s                                             vv -> v
FD:97   i16x8.min_u                                             vv -> v
FD:98   i16x8.max_s                                             vv -> v
FD:99   i16x8.max_u                                             vv -> v
FD:9B   i16x8.avgr_u                                            vv -> v
FD:9C   i16x8.extmul_low_i8x16_s                                vv -> v
FD:9D   i16x8.extmul_high_i8x16_s                               vv -> v
FD:9E   i16x8.extmul_low_i8x16_u                                vv -> v
FD:9F   i16x8.extmul_high_i8x16_u                               vv -> v
FD:A0   i32x4.abs                                               v -> v
FD:A1   i32x4.neg                                               v -> v
FD:A3   i32x4.all_true                                          v -> i
FD:A4   i32x4.bitmask                                           v -> i
FD:A7   i32x4.extend_low_i16x8_s                                v -> v
FD:A8   i32x4.extend_high_i16x8_s                               v -> v
FD:A9   i32x4.extend_low_i16x8_u                                v -> v
FD:AA   i32x4.extend_high_i16x8_u                               v -> v
FD:AB   i32x4.shl                                               vi -> v
FD:AC   i32x4.shr_s                                             vi -> v
FD:AD   i32x4.shr_u                                             vi -> v
FD:AE   i32x4.add                                               vv -> v
FD:B1   i32x4.sub                                               vv -> v
FD:B5   i32x4.mul                                               vv -> v
FD:B6   i32x4.min_s                                             vv -> v
FD:B7   i32x4.min_u                                             vv -> v
FD:B8   i32x4.max_s                                             vv -> v
FD:B9   i32x4.max_u                                             vv -> v
FD:BA   i32x4.dot_i16x8_s                                       vv -> v
FD:BC   i32x4.extmul_low_i16x8_s                                vv -> v
FD:BD   i32x4.extmul_high_i16x8_s                               vv -> v
FD:BE   i32x4.extmul_low_i16x8_u                                vv -> v
FD:BF   i32x4.extmul_high_i16x8_u                               vv -> v
FD:C0   i64x2.abs                                               v -> v
FD:C1   i64x2.neg                                               v -> v
FD:C3   i64x2.all_true                                          v -> i
FD:C4   i64x2.bitmask                                           v -> i
FD:C7   i64x2.extend_low_i32x4_s                                v -> v
FD:C8   i64x2.extend_high_i32x4_s                               v -> v
FD:C9   i64x2.extend_low_i32x4_u                                v -> v
FD:CA   i64x2.extend_high_i32x4_u                               v -> v
FD:CB   i64x2.shl                                               vi -> v
FD:CC   i64x2.shr_s                                             vi -> v
FD:CD   i64x2.shr_u                                             vi -> v
FD:CE   i64x2.add                                               vv -> v
FD:D1   i64x2.sub                                               vv -> v
FD:D5   i64x2.mul                                               vv -> v
FD:D6   i64x2.eq                                                vv -> v
FD:D7   i64x2.ne                                                vv -> v
FD:D8   i64x2.lt_s                                              vv -> v
FD:D9   i64x2.gt_s                                              vv -> v
FD:DA   i64x2.le_s                                              vv -> v
FD:DB   i64x2.ge_s                                              vv -> v
FD:DC   i64x2.extmul_low_i32x4_s                                vv -> v
FD:DD   i64x2.extmul_high_i32x4_s                               vv -> v
FD:DE   i64x2.extmul_low_i32x4_u                                vv -> v
FD:DF   i64x2.extmul_high_i32x4_u                               vv -> v
FD:E0   f32x4.abs                                               v -> v
FD:E1   f32x4.neg                                               v -> v
FD:E3   f32x4.sqrt                                              v -> v
FD:E4   f32x4.add                                               vv -> v
FD:E5   f32x4.sub                                               vv -> v
FD:E6   f32x4.mul                                               vv -> v
FD:E7   f32x4.div                                               vv -> v
FD:E8   f32x4.min                                               vv -> v
FD:E9   f32x4.max                                               vv -> v
FD:EA   f32x4.pmin                                              vv -> v
FD:EB   f32x4.pmax                                              vv -> v
FD:EC   f64x2.abs                                               v -> v
FD:ED   f64x2.neg                                               v -> v
FD:EF   f64x2.sqrt                                              v -> v
FD:F0   f64x2.add                                               vv -> v
FD:F1   f64x2.sub                                               vv -> v
FD:F2   f64x2.mul                                               vv -> v
FD:F3   f64x2.div                                               vv -> v
FD:F4   f64x2.min                                               vv -> v
FD:F5   f64x2.max                                               vv -> v
FD:F6   f64x2.pmin                                              vv -> v
FD:F7   f64x2.pmax                                              vv -> v
FD:F8   i32x4.trunc_sat_f32x4_s                                 v -> v
FD:F9   i32x4.trunc_sat_f32x4_u                                 v -> v
FD:FA   f32x4.convert_i32x4_s                                   v -> v
FD:FB   f32x4.convert_i32x4_u                                   v -> v
FD:FC   i32x4.trunc_sat_f64x2_s_zero                            v -> v
FD:FD   i32x4.trunc_sat_f64x2_u_zero                            v -> v
FD:FE   f64x2.convert_low_i32x4_s                               v -> v
FD:FF   f64x2.convert_low_i32x4_u                               v -> v
@relaxed_simd
FD:100  i8x16.relaxed_swizzle                                   vv -> v
FD:101  i32x4.relaxed_trunc_f32x4_s                             v -> v
FD:102  i32x4.relaxed_trunc_f32x4_u                             v -> v
FD:103  i32x4.relaxed_trunc_f64x2_s_zero                        v -> v
FD:104  i32x4.relaxed_trunc_f64x2_u_zero                        v -> v
FD:105  f32x4.relaxed_madd                                      vvv -> v
FD:106  f32x4.relaxed_nmadd                                     vvv -> v
FD:107  f64x2.relaxed_madd                                      vvv -> v
FD:108  f64x2.relaxed_nmadd                                     vvv -> v
FD:109  i8x16.relaxed_laneselect                                vvv -> v
FD:10A  i16x8.relaxed_laneselect                                vvv -> v
FD:10B  i32x4.relaxed_laneselect                                vvv -> v
FD:10C  i64x2.relaxed_laneselect                                vvv -> v
FD:10D  f32x4.relaxed_min                                       vv -> v
FD:10E  f32x4.relaxed_max                                       vv -> v
FD:10F  f64x2.relaxed_min                                       vv -> v
FD:110  f64x2.relaxed_max                                       vv -> v
FD:111  i16x8.relaxed_q15mulr_s                                 vv -> v
FD:112  i16x8.relaxed_dot_i8x16_i7x16_s                         vv -> v
FD:113  i32x4.relaxed_dot_i8x16_i7x16_add_s                      vvv -> v
@threads
FE:00   memory.atomic.notify              memarg:2              ai -> i
FE:01   memory.atomic.wait32              memarg:2              aiI -> i
FE:02   memory.atomic.wait64              memarg:3              aII -> i
FE:03   atomic.fence                      zero                  ->
FE:10   i32.atomic.load                   memarg:2              a -> i
FE:11   i64.atomic.load                   memarg:3              a -> I
FE:12   i32.atomic.load8_u                memarg:0              a -> i
FE:13   i32.atomic.load16_u               memarg:1              a -> i
FE:14   i64.atomic.load8_u                memarg:0              a -> I
FE:15   i64.atomic.load16_u               memarg:1              a -> I
FE:16   i64.atomic.load32_u               memarg:2              a -> I
FE:17   i32.atomic.store                  memarg:2              ai ->
FE:18   i64.atomic.store                  memarg:3              aI ->
FE:19   i32.atomic.store8                 memarg:0              ai ->
FE:1A   i32.atomic.store16                memarg:1              ai ->
FE:1B   i64.atomic.store8                 memarg:0              aI ->
FE:1C   i64.atomic.store16                memarg:1              aI ->
FE:1D   i64.atomic.store32                memarg:2              aI ->
FE:1E   i32.atomic.rmw.add                memarg:2              ai -> i
FE:1F   i64.atomic.rmw.add                memarg:3              aI -> I
FE:20   i32.atomic.rmw8.add_u             memarg:0              ai -> i
FE:21   i32.atomic.rmw16.add_u            memarg:1              ai -> i
FE:22   i64.atomic.rmw8.add_u             memarg:0              aI -> I
FE:23   i64.atomic.rmw16.add_u            memarg:1              aI -> I
FE:24   i64.atomic.rmw32.add_u            memarg:2              aI -> I
FE:25   i32.atomic.rmw.sub                memarg:2              ai -> i
FE:26   i64.atomic.rmw.sub                memarg:3              aI -> I
FE:27   i32.atomic.rmw8.sub_u             memarg:0              ai -> i
FE:28   i32.atomic.rmw16.sub_u            memarg:1              ai -> i
FE:29   i64.atomic.rmw8.sub_u             memarg:0              aI -> I
FE:2A   i64.atomic.rmw16.sub_u            memarg:1              aI -> I
FE:2B   i64.atomic.rmw32.sub_u            memarg:2              aI -> I
FE:2C   i32.atomic.rmw.and                memarg:2              ai -> i
FE:2D   i64.atomic.rmw.and                memarg:3              aI -> I
FE:2E   i32.atomic.rmw8.and_u             memarg:0              ai -> i
FE:2F   i32.atomic.rmw16.and_u            memarg:1              ai -> i
FE:30   i64.atomic.rmw8.and_u             memarg:0              aI -> I
FE:31   i64.atomic.rmw16.and_u            memarg:1              aI -> I
FE:32   i64.atomic.rmw32.and_u            memarg:2              aI -> I
FE:33   i32.atomic.rmw.or                 memarg:2              ai -> i
FE:34   i64.atomic.rmw.or                 memarg:3              aI -> I
FE:35   i32.atomic.rmw8.or_u              memarg:0              ai -> i
FE:36   i32.atomic.rmw16.or_u             memarg:1              ai -> i
FE:37   i64.atomic.rmw8.or_u              memarg:0              aI -> I
FE:38   i64.atomic.rmw16.or_u             memarg:1              aI -> I
FE:39   i64.atomic.rmw32.or_u             memarg:2              aI -> I
FE:3A   i32.atomic.rmw.xor                memarg:2              ai -> i
FE:3B   i64.atomic.rmw.xor                memarg:3              aI -> I
FE:3C   i32.atomic.rmw8.xor_u             memarg:0              ai -> i
FE:3D   i32.atomic.rmw16.xor_u            memarg:1              ai -> i
FE:3E   i64.atomic.rmw8.xor_u             memarg:0              aI -> I
FE:3F   i64.atomic.rmw16.xor_u            memarg:1              aI -> I
FE:40   i64.atomic.rmw32.xor_u            memarg:2              aI -> I
FE:41   i32.atomic.rmw.xchg               memarg:2              ai -> i
FE:42   i64.atomic.rmw.xchg               memarg:3              aI -> I
FE:43   i32.atomic.rmw8.xchg_u            memarg:0              ai -> i
FE:44   i32.atomic.rmw16.xchg_u           memarg:1              ai -> i
FE:45   i64.atomic.rmw8.xchg_u            memarg:0              aI -> I
FE:46   i64.atomic.rmw16.xchg_u           memarg:1              aI -> I
FE:47   i64.atomic.rmw32.xchg_u           memarg:2              aI -> I
FE:48   i32.atomic.rmw.cmpxchg            memarg:2              aii -> i
FE:49   i64.atomic.rmw.cmpxchg            memarg:3              aII -> I
FE:4A   i32.atomic.rmw8.cmpxchg_u         memarg:0              aii -> i
FE:4B   i32.atomic.rmw16.cmpxchg_u        memarg:1              aii -> i
FE:4C   i64.atomic.rmw8.cmpxchg_u         memarg:0              aII -> I
FE:4D   i64.atomic.rmw16.cmpxchg_u        memarg:1              aII -> I
FE:4E   i64.atomic.rmw32.cmpxchg_u        memarg:2              aII -> I
@wide_arithmetic
FC:13   i64.add128                                              IIII -> II
FC:14   i64.sub128                                              IIII -> II
FC:15   i64.mul_wide_s                                          II -> II
FC:16   i64.mul_wide_u                                          II -> II
"""


class Immediate(NamedTuple):
    """One immediate: its kind (see the module's docstring) and its figure (log2 of alignment, number of lanes) or 0."""

    kind: str
    bound: int = 0


@record
class Instruction:
    """One row of the table.

    `opcode` is the byte, or `prefix << 16 | sub`. `slot` is the dense number by which handler lists are indexed: the byte
    itself for one-byte opcodes, 256 and up for prefixed ones. `params` and `results` are signature letters, or None for
    the instructions whose types depend on the context. `feature` is a field of `Features`, or "".
    """

    opcode: int
    slot: int
    name: str
    immediates: tuple[Immediate, ...]
    params: str | None
    results: str | None
    feature: str

    @property
    def prefix(self) -> int:
        """The prefix byte, or 0."""
        return self.opcode >> 16

    @property
    def encoding(self) -> bytes:
        """The opcode in the binary format."""
        if not self.prefix:
            return bytes((self.opcode,))
        sub = self.opcode & 0xFFFF
        return bytes((self.prefix, sub)) if sub < 128 else bytes((self.prefix, sub & 127 | 128, sub >> 7))

    @property
    def alignment(self) -> int:
        """log2 of the natural alignment of a memory access, in bytes; -1 for other instructions."""
        return next((immediate.bound for immediate in self.immediates if immediate.kind == "memarg"), -1)

    @property
    def is_atomic(self) -> bool:
        """Whether the alignment must be exactly the natural one."""
        return self.prefix == 0xFE


def _parse() -> tuple[Instruction, ...]:
    rows = []
    feature = ""
    slot = 256
    for line in _TABLE.splitlines():
        if not line:
            continue
        if line[0] == "@":
            feature = line[1:]
            continue
        code, name = line[:8].rstrip(), line[8:].split(maxsplit=1)[0]
        kinds, signature = line[8 + len(name) : 64].split(), line[64:]
        prefix, _, sub = code.rpartition(":")
        opcode = int(prefix or "0", 16) << 16 | int(sub, 16)
        params, arrow, results = (part.strip() for part in signature.partition("->"))
        immediates = tuple(
            Immediate(kind, int(bound or "0")) for kind, _, bound in (text.partition(":") for text in kinds)
        )
        if prefix:
            number, slot = slot, slot + 1
        else:
            number = opcode
        rows.append(
            Instruction(
                opcode,
                number,
                name,
                immediates,
                params if arrow else None,
                results if arrow else None,
                feature,
            )
        )
    return tuple(rows)


INSTRUCTIONS: Final[tuple[Instruction, ...]] = _parse()
SLOTS: Final = 1 + max(instruction.slot for instruction in INSTRUCTIONS)
BY_OPCODE: Final[dict[int, Instruction]] = {instruction.opcode: instruction for instruction in INSTRUCTIONS}

# Three names stand for two opcodes each; the opcodes tell them apart, and these names do where one is needed.
SELECT_TYPED: Final = BY_OPCODE[0x1C]
REF_TEST_NULL: Final = BY_OPCODE[0xFB0015]
REF_CAST_NULL: Final = BY_OPCODE[0xFB0017]

# The plain form (untyped `select`, non-nullable test and cast) for the three names above.
BY_NAME: Final[dict[str, Instruction]] = {instruction.name: instruction for instruction in reversed(INSTRUCTIONS)}
