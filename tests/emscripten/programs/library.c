// What Emscripten's C library has for setjmp, written against its ABI: the parts that LLVM's code calls.
typedef unsigned long word;

void _emscripten_throw_longjmp(void);

__attribute__((used)) int __THREW__;
__attribute__((used)) int __threwValue;
static int upper_half;

struct buffer {
    void *invocation;
    unsigned label;
};

__attribute__((export_name("setThrew"))) void setThrew(word threw, int value) {
    if (!__THREW__) {
        __THREW__ = (int)threw;
        __threwValue = value;
    }
}

void __wasm_setjmp(struct buffer *buffer, unsigned label, void *invocation) {
    buffer->invocation = invocation;
    buffer->label = label;
}

unsigned __wasm_setjmp_test(struct buffer *buffer, void *invocation) {
    return buffer->invocation == invocation ? buffer->label : 0;
}

__attribute__((export_name("_emscripten_tempret_set"))) void setTempRet0(int value) { upper_half = value; }
int getTempRet0(void) { return upper_half; }

void emscripten_longjmp(word buffer, int value) {
    setThrew(buffer, value ? value : 1);
    _emscripten_throw_longjmp();
}

__asm__(".globaltype __stack_pointer, i32");

__attribute__((export_name("emscripten_stack_get_current"))) void *emscripten_stack_get_current(void) {
    void *pointer;
    __asm__ volatile("global.get __stack_pointer\n local.set %0" : "=r"(pointer));
    return pointer;
}

__attribute__((export_name("_emscripten_stack_restore"))) void _emscripten_stack_restore(void *pointer) {
    __asm__ volatile("local.get %0\n global.set __stack_pointer" ::"r"(pointer));
}
