"""The features of WebAssembly that can be switched off, by the names the field uses."""

from __future__ import annotations

from wasmine.record import record


@record
class Features:
    """Which features a module may use; everything is on by default. `Features(gc=False)` switches one off.

    `Features.wasm_1()`, `.wasm_2()` and `.wasm_3()` are the releases of the specification.
    """

    # Wasm 1.0 has mutable globals; then what 2.0 added.
    mutable_global: bool = True
    sign_extension_ops: bool = True
    nontrapping_float_to_int_conversion: bool = True
    multi_value: bool = True
    bulk_memory_operations: bool = True
    reference_types: bool = True
    simd: bool = True
    # Added by 3.0.
    tail_call: bool = True
    extended_const: bool = True
    multi_memory: bool = True
    memory64: bool = True
    exception_handling: bool = True
    function_references: bool = True
    gc: bool = True
    relaxed_simd: bool = True
    # Proposals, and the exceptions that toolchains emitted before 3.0.
    threads: bool = True
    custom_page_sizes: bool = True
    wide_arithmetic: bool = True
    legacy_exceptions: bool = True

    @classmethod
    def none(cls) -> Features:
        """The first version of WebAssembly, without even mutable globals across modules."""
        return cls(**dict.fromkeys(cls.names(), False))

    @classmethod
    def wasm_1(cls) -> Features:
        """WebAssembly 1.0."""
        return cls.none().enable("mutable_global")

    @classmethod
    def wasm_2(cls) -> Features:
        """WebAssembly 2.0."""
        return cls.wasm_1().enable(*cls.names()[1:7])

    @classmethod
    def wasm_3(cls) -> Features:
        """WebAssembly 3.0: everything but the proposals and the legacy exceptions."""
        return cls.wasm_2().enable(*cls.names()[7:15])

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Every field's name, in the order in which features came."""
        return cls.__match_args__

    def enable(self, *names: str) -> Features:
        """A copy with these features on."""
        return self._with(names, True)

    def disable(self, *names: str) -> Features:
        """A copy with these features off."""
        return self._with(names, False)

    def _with(self, names: tuple[str, ...], value: bool) -> Features:
        fixed = [name.replace("-", "_") for name in names]
        unknown = [name for name in fixed if name not in self.names()]
        if unknown:
            raise ValueError(f"unknown feature {unknown[0]!r}: expected one of {', '.join(self.names())}")
        return Features(**{name: value if name in fixed else getattr(self, name) for name in self.names()})

    def __str__(self) -> str:
        return "|".join(name.replace("_", "-") for name in self.names() if getattr(self, name))
