// C++ exceptions that go through the host: thrown, caught by type and by base, rethrown, cleaned up after.
#define EXPORT(name) extern "C" __attribute__((export_name(name), noinline))

struct Guard {
    static int destroyed;
    ~Guard() { destroyed++; }
};
int Guard::destroyed;

struct Error {
    int code;
    static int alive;
    Error(int code) : code(code) { alive++; }
    Error(const Error &other) : code(other.code) { alive++; }
    ~Error() { alive--; }
};
int Error::alive;
struct Narrower : Error {
    Narrower(int code) : Error(code) {}
};
struct Unrelated {
    int value;
};

__attribute__((noinline)) static void fail(int kind, int code) {
    Guard guard;
    if (kind == 1)
        throw Error(code);
    if (kind == 2)
        throw Narrower(code);
    if (kind == 3)
        throw Unrelated{code};
}

EXPORT("catch") int catching(int kind, int code) {
    try {
        fail(kind, code);
    } catch (const Narrower &error) {
        return 2000 + error.code;
    } catch (const Error &error) {
        return 1000 + error.code;
    } catch (...) {
        return -1;
    }
    return 0;
}

EXPORT("catch_base") int catch_base(int kind, int code) {
    try {
        fail(kind, code);
    } catch (const Error &error) {
        return 1000 + error.code;
    }
    return 0;
}

// What the inner clause does not catch, or throws again, reaches the outer one.
EXPORT("rethrow") int rethrow(int kind, int code) {
    try {
        try {
            fail(kind, code);
        } catch (Narrower &error) {
            error.code++;
            throw;
        }
    } catch (Error error) {
        return error.code;
    } catch (...) {
        return -1;
    }
    return 0;
}

EXPORT("nested") int nested(int code) {
    int sum = 0;
    try {
        throw Error(code);
    } catch (const Error &outer) {
        try {
            throw Narrower(outer.code * 10);
        } catch (const Error &inner) {
            sum += inner.code;
        }
        sum += outer.code;
    }
    return sum;
}

EXPORT("destroyed") int destroyed() { return Guard::destroyed; }
EXPORT("alive") int alive() { return Error::alive; }

// --------------------------------------------------------------------- what Emscripten's C++ library has for all this

namespace std {
void terminate() noexcept { __builtin_trap(); }
} // namespace std

typedef unsigned long word;

struct Header {
    int references;
    const void *type;
    void *(*destructor)(void *); // destructors return `this` in WebAssembly
    unsigned char caught, rethrown;
    void *adjusted;
    word padding;
};
struct TypeInfo {
    const void *table;
    const char *name;
    const TypeInfo *base; // of a class with one base
};

static char heap[4096] __attribute__((aligned(16)));
static word used;
static int allocated;

extern "C" {
void *classes[4] asm("_ZTVN10__cxxabiv117__class_type_infoE");
void *single_base_classes[4] asm("_ZTVN10__cxxabiv120__si_class_type_infoE");

static Header *header(void *object) { return (Header *)object - 1; }

void *__cxa_allocate_exception(word size) {
    Header *made = (Header *)(heap + used);
    used += sizeof(Header) + (size + 7) / 8 * 8;
    allocated++;
    *made = Header();
    return made + 1;
}

void __cxa_free_exception(void *) { allocated--; }

EXPORT("__cxa_increment_exception_refcount") void __cxa_increment_exception_refcount(void *object) {
    header(object)->references++;
}

EXPORT("__cxa_decrement_exception_refcount") void __cxa_decrement_exception_refcount(void *object) {
    Header *found = header(object);
    if (--found->references == 0 && !found->rethrown) {
        if (found->destructor)
            found->destructor(object);
        __cxa_free_exception(object);
    }
}

EXPORT("__cxa_get_exception_ptr") void *__cxa_get_exception_ptr(void *object) { return header(object)->adjusted; }

EXPORT("__cxa_can_catch") int __cxa_can_catch(const TypeInfo *wanted, const TypeInfo *thrown, void **) {
    for (;;) {
        if (wanted == thrown)
            return 1;
        if (thrown->table != single_base_classes + 2)
            return 0;
        thrown = thrown->base;
    }
}

EXPORT("allocated") int get_allocated() { return allocated; }
}
