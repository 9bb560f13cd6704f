/* Every error number of every function of preview 1, provoked. The first argument names a group of cases, which needs the
 * mounts, streams or limits that the test gives it. Each case prints the call, the error number expected and the one it got.
 *
 * The functions are imported here once more, with plain numbers as parameters: libc's declarations take C strings, and so
 * could not pass a path with a zero byte or one outside the memory. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IMPORT(name, ...) \
  __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int32_t _##name(__VA_ARGS__)

typedef int32_t i;
typedef int64_t I;
IMPORT(args_get, i, i);
IMPORT(args_sizes_get, i, i);
IMPORT(environ_get, i, i);
IMPORT(environ_sizes_get, i, i);
IMPORT(clock_res_get, i, i);
IMPORT(clock_time_get, i, I, i);
IMPORT(fd_advise, i, I, I, i);
IMPORT(fd_allocate, i, I, I);
IMPORT(fd_close, i);
IMPORT(fd_datasync, i);
IMPORT(fd_fdstat_get, i, i);
IMPORT(fd_fdstat_set_flags, i, i);
IMPORT(fd_fdstat_set_rights, i, I, I);
IMPORT(fd_filestat_get, i, i);
IMPORT(fd_filestat_set_size, i, I);
IMPORT(fd_filestat_set_times, i, I, I, i);
IMPORT(fd_pread, i, i, i, I, i);
IMPORT(fd_prestat_get, i, i);
IMPORT(fd_prestat_dir_name, i, i, i);
IMPORT(fd_pwrite, i, i, i, I, i);
IMPORT(fd_read, i, i, i, i);
IMPORT(fd_readdir, i, i, i, I, i);
IMPORT(fd_renumber, i, i);
IMPORT(fd_seek, i, I, i, i);
IMPORT(fd_sync, i);
IMPORT(fd_tell, i, i);
IMPORT(fd_write, i, i, i, i);
IMPORT(path_create_directory, i, i, i);
IMPORT(path_filestat_get, i, i, i, i, i);
IMPORT(path_filestat_set_times, i, i, i, i, I, I, i);
IMPORT(path_link, i, i, i, i, i, i, i);
IMPORT(path_open, i, i, i, i, i, I, I, i, i);
IMPORT(path_readlink, i, i, i, i, i, i);
IMPORT(path_remove_directory, i, i, i);
IMPORT(path_rename, i, i, i, i, i, i);
IMPORT(path_symlink, i, i, i, i, i);
IMPORT(path_unlink_file, i, i, i);
IMPORT(poll_oneoff, i, i, i, i);
IMPORT(proc_raise, i);
IMPORT(random_get, i, i);
IMPORT(sched_yield, void);
IMPORT(sock_accept, i, i, i);
IMPORT(sock_recv, i, i, i, i, i, i);
IMPORT(sock_send, i, i, i, i, i);
IMPORT(sock_shutdown, i, i);

/* Of the version before, which numbered it otherwise. */
__attribute__((import_module("wasi_unstable"), import_name("fd_seek"))) int32_t _fd_seek_unstable(i, I, i, i);

enum errno {
  SUCCESS = 0, AGAIN = 6, BADF = 8, BUSY = 10, CONNRESET = 15, EXIST = 20, FAULT = 21, FBIG = 22, ILSEQ = 25, INVAL = 28,
  IO = 29, ISDIR = 31, LOOP = 32, MFILE = 33, NAMETOOLONG = 37, NOENT = 44, NOSPC = 51, NOSYS = 52, NOTCONN = 53,
  NOTDIR = 54, NOTEMPTY = 55, NOTSOCK = 57, NOTSUP = 58, NXIO = 60, OVERFLOW = 61, PERM = 63, PIPE = 64, ROFS = 69, SPIPE = 70,
  XDEV = 75, NOTCAPABLE = 76
};

static void check(const char *call, const char *name, int expected, int got) {
  printf("%s %s %d %d\n", call, name, expected, got);
}

/* The calls begin with an underscore, which keeps them apart from libc's own names. */
#define EXPECT(errno, call) check(&#call[1], #errno, errno, call)
#define DO(call) EXPECT(SUCCESS, call)

enum rights {
  DATASYNC = 1 << 0, READ = 1 << 1, SEEK = 1 << 2, SET_FLAGS = 1 << 3, SYNC = 1 << 4, TELL = 1 << 5, WRITE = 1 << 6, ADVISE = 1 << 7,
  ALLOCATE = 1 << 8, SET_SIZE = 1 << 22, ALL = (1 << 30) - 1
};
enum { CREAT = 1, DIRECTORY = 2, EXCL = 4, TRUNC = 8 };
enum { APPEND = 1, DSYNC = 2, NONBLOCK = 4, RSYNC = 8, SYNCHRONOUS = 16 };
enum { FOLLOW = 1 };
enum { ROOT = 3, OTHER = 4, NONE = 999 };

#define OUTSIDE ((i)0xFFFFFFF0) /* 16 bytes below the end of what an address can name */
#define TEXT(text) (i)(text), sizeof(text) - 1

static uint8_t buffer[70000];
static uint32_t result[16];
#define BUFFER (i) buffer
#define RESULT (i) result

struct vector {
  i address, length;
};
static struct vector one[1] = {{BUFFER, 10}}, outside[1] = {{OUTSIDE, 100}};
#define ONE (i)one, 1
#define MANY (i)one, 1025

/* Buffers of more than 4 GiB together, whose bytes no count could tell: the same 5 MiB again and again. */
static uint8_t large[5 << 20];
static struct vector huge[1024];
#define HUGE (i)huge, 1024

static i opened(i directory, const char *path, i oflags, I rights, i fdflags) {
  i error = _path_open(directory, 0, (i)path, strlen(path), oflags, rights, ALL, fdflags, RESULT);
  if (error) printf("! cannot open %s: %d\n", path, error);
  return result[0];
}

static i directory(const char *path, I rights) {
  return opened(ROOT, path, DIRECTORY, rights & ~(WRITE | ALLOCATE | SET_SIZE), 0);
}

/* A file with ten bytes in it. */
static i file(const char *path, I rights) {
  i fd = opened(ROOT, path, CREAT | TRUNC, ALL, 0);
  _fd_write(fd, ONE, RESULT);
  _fd_close(fd);
  return opened(ROOT, path, 0, rights, 0);
}

/* ------------------------------------------------------------------------------------------------ processes and clocks */

static void process(void) {
  EXPECT(FAULT, _args_sizes_get(OUTSIDE, RESULT));
  EXPECT(FAULT, _args_sizes_get(RESULT, -1));
  EXPECT(FAULT, _args_get(OUTSIDE, BUFFER));
  EXPECT(FAULT, _args_get(BUFFER, OUTSIDE));
  EXPECT(FAULT, _environ_sizes_get(OUTSIDE, RESULT));
  EXPECT(FAULT, _environ_get(OUTSIDE, BUFFER));
  EXPECT(FAULT, _environ_get(BUFFER, OUTSIDE));
  EXPECT(INVAL, _clock_res_get(4, RESULT));
  EXPECT(FAULT, _clock_res_get(0, OUTSIDE));
  EXPECT(INVAL, _clock_time_get(4, 0, RESULT));
  EXPECT(INVAL, _clock_time_get(-1, 0, RESULT));
  EXPECT(FAULT, _clock_time_get(1, 0, OUTSIDE));
  EXPECT(FAULT, _random_get(OUTSIDE, 100));
  EXPECT(FAULT, _random_get(BUFFER, -1));
  EXPECT(NOSYS, _proc_raise(9));
  EXPECT(SUCCESS, _sched_yield());
}

static void no_such_clock(void) {
  EXPECT(NOTSUP, _clock_res_get(2, RESULT));
  EXPECT(NOTSUP, _clock_time_get(2, 0, RESULT));
  EXPECT(NOTSUP, _clock_time_get(3, 0, RESULT));
}

static void short_random(void) { EXPECT(IO, _random_get(BUFFER, 10)); }

/* ---------------------------------------------------------------------------------------------------------- descriptors */

static void no_descriptor(void) {
  EXPECT(BADF, _fd_advise(NONE, 0, 0, 0));
  EXPECT(BADF, _fd_allocate(NONE, 0, 1));
  EXPECT(BADF, _fd_close(NONE));
  EXPECT(BADF, _fd_close(-1));
  EXPECT(BADF, _fd_datasync(NONE));
  EXPECT(BADF, _fd_fdstat_get(NONE, RESULT));
  EXPECT(BADF, _fd_fdstat_set_flags(NONE, 0));
  EXPECT(BADF, _fd_fdstat_set_rights(NONE, 0, 0));
  EXPECT(BADF, _fd_filestat_get(NONE, RESULT));
  EXPECT(BADF, _fd_filestat_set_size(NONE, 0));
  EXPECT(BADF, _fd_filestat_set_times(NONE, 0, 0, 0));
  EXPECT(BADF, _fd_pread(NONE, ONE, 0, RESULT));
  EXPECT(BADF, _fd_prestat_get(NONE, RESULT));
  EXPECT(BADF, _fd_prestat_get(1, RESULT));
  EXPECT(BADF, _fd_prestat_dir_name(NONE, BUFFER, 10));
  EXPECT(BADF, _fd_pwrite(NONE, ONE, 0, RESULT));
  EXPECT(BADF, _fd_read(NONE, ONE, RESULT));
  EXPECT(BADF, _fd_readdir(NONE, BUFFER, 100, 0, RESULT));
  EXPECT(BADF, _fd_renumber(NONE, ROOT));
  EXPECT(BADF, _fd_renumber(ROOT, NONE));
  EXPECT(BADF, _fd_seek(NONE, 0, 0, RESULT));
  EXPECT(BADF, _fd_sync(NONE));
  EXPECT(BADF, _fd_tell(NONE, RESULT));
  EXPECT(BADF, _fd_write(NONE, ONE, RESULT));
  EXPECT(BADF, _path_create_directory(NONE, TEXT("x")));
  EXPECT(BADF, _path_filestat_get(NONE, 0, TEXT("x"), RESULT));
  EXPECT(BADF, _path_filestat_set_times(NONE, 0, TEXT("x"), 0, 0, 0));
  EXPECT(BADF, _path_link(NONE, 0, TEXT("x"), ROOT, TEXT("y")));
  EXPECT(BADF, _path_open(NONE, 0, TEXT("x"), 0, ALL, ALL, 0, RESULT));
  EXPECT(BADF, _path_readlink(NONE, TEXT("x"), BUFFER, 10, RESULT));
  EXPECT(BADF, _path_remove_directory(NONE, TEXT("x")));
  EXPECT(BADF, _path_rename(NONE, TEXT("x"), ROOT, TEXT("y")));
  EXPECT(BADF, _path_symlink(TEXT("x"), NONE, TEXT("y")));
  EXPECT(BADF, _path_unlink_file(NONE, TEXT("x")));
  EXPECT(BADF, _sock_accept(NONE, 0, RESULT));
  EXPECT(BADF, _sock_recv(NONE, ONE, 0, RESULT, RESULT + 8));
  EXPECT(BADF, _sock_send(NONE, ONE, 0, RESULT));
  EXPECT(BADF, _sock_shutdown(NONE, 1));
}

static void descriptors(void) {
  for (i at = 0; at < 1024; at++) huge[at] = (struct vector){(i)large, sizeof large};
  i fd = file("file", ALL);
  EXPECT(INVAL, _fd_advise(fd, 0, 0, 6));
  EXPECT(INVAL, _fd_advise(fd, -1, 0, 0));
  EXPECT(INVAL, _fd_advise(fd, 0, -1, 0));
  EXPECT(INVAL, _fd_allocate(fd, -1, 1));
  EXPECT(INVAL, _fd_allocate(fd, 0, -1));
  EXPECT(INVAL, _fd_allocate(fd, 0, 0));
  EXPECT(FBIG, _fd_allocate(fd, INT64_MAX, 1));
  EXPECT(FAULT, _fd_fdstat_get(fd, OUTSIDE));
  EXPECT(INVAL, _fd_fdstat_set_flags(fd, 32));
  EXPECT(NOTSUP, _fd_fdstat_set_flags(fd, DSYNC));
  EXPECT(NOTSUP, _fd_fdstat_set_flags(fd, RSYNC));
  EXPECT(NOTSUP, _fd_fdstat_set_flags(fd, SYNCHRONOUS));
  EXPECT(FAULT, _fd_filestat_get(fd, OUTSIDE));
  EXPECT(INVAL, _fd_filestat_set_size(fd, -1));
  EXPECT(INVAL, _fd_filestat_set_times(fd, 0, 0, 16));
  EXPECT(INVAL, _fd_filestat_set_times(fd, 0, 0, 1 | 2));
  EXPECT(INVAL, _fd_filestat_set_times(fd, 0, 0, 4 | 8));
  EXPECT(OVERFLOW, _fd_filestat_set_times(fd, -1, 0, 1));
  EXPECT(FAULT, _fd_pread(fd, (i)outside, 1, 0, RESULT));
  EXPECT(FAULT, _fd_pread(fd, OUTSIDE, 10, 0, RESULT));
  EXPECT(FAULT, _fd_pread(fd, ONE, 0, OUTSIDE));
  EXPECT(INVAL, _fd_pread(fd, MANY, 0, RESULT));
  EXPECT(INVAL, _fd_pread(fd, HUGE, 0, RESULT));
  EXPECT(INVAL, _fd_pread(fd, ONE, -1, RESULT));
  EXPECT(FAULT, _fd_prestat_get(ROOT, OUTSIDE));
  EXPECT(BADF, _fd_prestat_get(fd, RESULT));
  EXPECT(NAMETOOLONG, _fd_prestat_dir_name(ROOT, BUFFER, 0));
  EXPECT(FAULT, _fd_prestat_dir_name(ROOT, -1, 100));
  EXPECT(BADF, _fd_prestat_dir_name(fd, BUFFER, 100));
  EXPECT(FAULT, _fd_pwrite(fd, (i)outside, 1, 0, RESULT));
  EXPECT(FAULT, _fd_pwrite(fd, ONE, 0, OUTSIDE));
  EXPECT(INVAL, _fd_pwrite(fd, MANY, 0, RESULT));
  EXPECT(INVAL, _fd_pwrite(fd, HUGE, 0, RESULT));
  EXPECT(INVAL, _fd_pwrite(fd, ONE, -1, RESULT));
  EXPECT(FBIG, _fd_pwrite(fd, ONE, INT64_MAX, RESULT));
  EXPECT(FAULT, _fd_read(fd, (i)outside, 1, RESULT));
  EXPECT(FAULT, _fd_read(fd, ONE, OUTSIDE));
  EXPECT(INVAL, _fd_read(fd, MANY, RESULT));
  EXPECT(INVAL, _fd_read(fd, HUGE, RESULT));
  EXPECT(NOTDIR, _fd_readdir(fd, BUFFER, 100, 0, RESULT));
  EXPECT(INVAL, _fd_seek(fd, 0, 3, RESULT));
  EXPECT(INVAL, _fd_seek_unstable(fd, 0, 3, RESULT));
  EXPECT(INVAL, _fd_seek(fd, -1, 0, RESULT));
  EXPECT(INVAL, _fd_seek(fd, -1000, 1, RESULT));
  EXPECT(INVAL, _fd_seek(fd, INT64_MAX, 2, RESULT));
  EXPECT(FAULT, _fd_seek(fd, 0, 0, OUTSIDE + 9));
  EXPECT(FAULT, _fd_tell(fd, OUTSIDE + 9));
  EXPECT(FAULT, _fd_write(fd, (i)outside, 1, RESULT));
  EXPECT(FAULT, _fd_write(fd, ONE, OUTSIDE));
  EXPECT(INVAL, _fd_write(fd, MANY, RESULT));
  EXPECT(INVAL, _fd_write(fd, HUGE, RESULT));
  DO(_fd_seek(fd, INT64_MAX, 0, RESULT));
  EXPECT(FBIG, _fd_write(fd, ONE, RESULT));
  DO(_fd_close(fd));

  i folder = directory(".", ALL);
  EXPECT(BADF, _fd_advise(folder, 0, 0, 0));
  EXPECT(BADF, _fd_allocate(folder, 0, 1));
  EXPECT(BADF, _fd_filestat_set_size(folder, 0));
  EXPECT(BADF, _fd_pread(folder, ONE, 0, RESULT));
  EXPECT(BADF, _fd_pwrite(folder, ONE, 0, RESULT));
  EXPECT(BADF, _fd_read(folder, ONE, RESULT));
  EXPECT(BADF, _fd_write(folder, ONE, RESULT));
  EXPECT(BADF, _fd_seek(folder, 0, 0, RESULT));
  EXPECT(BADF, _fd_tell(folder, RESULT));
  EXPECT(INVAL, _fd_fdstat_set_flags(folder, 32));
  EXPECT(FAULT, _fd_filestat_get(folder, OUTSIDE));
  EXPECT(INVAL, _fd_filestat_set_times(folder, 0, 0, 1 | 2));
  EXPECT(FAULT, _fd_readdir(folder, OUTSIDE, 100, 0, RESULT));
  EXPECT(FAULT, _fd_readdir(folder, BUFFER, 100, 0, OUTSIDE));
  EXPECT(BADF, _fd_prestat_get(folder, RESULT));
  DO(_fd_close(folder));
}

/* One right is given up, and what needs it fails. */
static void rights(void) {
  i fd = file("file", ALL);
  DO(_fd_fdstat_set_rights(fd, 0, 0));
  EXPECT(NOTCAPABLE, _fd_fdstat_set_rights(fd, READ, 0));
  EXPECT(NOTCAPABLE, _fd_fdstat_set_rights(fd, 0, READ));
  EXPECT(NOTCAPABLE, _fd_advise(fd, 0, 0, 0));
  EXPECT(NOTCAPABLE, _fd_allocate(fd, 0, 1));
  EXPECT(NOTCAPABLE, _fd_datasync(fd));
  EXPECT(NOTCAPABLE, _fd_fdstat_set_flags(fd, APPEND));
  EXPECT(NOTCAPABLE, _fd_filestat_get(fd, RESULT));
  EXPECT(NOTCAPABLE, _fd_filestat_set_size(fd, 1));
  EXPECT(NOTCAPABLE, _fd_filestat_set_times(fd, 0, 0, 0));
  EXPECT(NOTCAPABLE, _fd_pread(fd, ONE, 0, RESULT));
  EXPECT(NOTCAPABLE, _fd_pwrite(fd, ONE, 0, RESULT));
  EXPECT(NOTCAPABLE, _fd_read(fd, ONE, RESULT));
  EXPECT(NOTCAPABLE, _fd_seek(fd, 1, 0, RESULT));
  EXPECT(NOTCAPABLE, _fd_sync(fd));
  EXPECT(NOTCAPABLE, _fd_tell(fd, RESULT));
  EXPECT(NOTCAPABLE, _fd_write(fd, ONE, RESULT));
  i folder = directory(".", ALL);
  DO(_fd_fdstat_set_rights(folder, 0, 0));
  EXPECT(NOTCAPABLE, _fd_datasync(folder));
  EXPECT(NOTCAPABLE, _fd_fdstat_set_flags(folder, 0));
  EXPECT(NOTCAPABLE, _fd_filestat_get(folder, RESULT));
  EXPECT(NOTCAPABLE, _fd_filestat_set_times(folder, 0, 0, 0));
  EXPECT(NOTCAPABLE, _fd_readdir(folder, BUFFER, 100, 0, RESULT));
  EXPECT(NOTCAPABLE, _fd_sync(folder));
  EXPECT(NOTCAPABLE, _path_create_directory(folder, TEXT("x")));
  EXPECT(NOTCAPABLE, _path_filestat_get(folder, 0, TEXT("file"), RESULT));
  EXPECT(NOTCAPABLE, _path_filestat_set_times(folder, 0, TEXT("file"), 0, 0, 0));
  EXPECT(NOTCAPABLE, _path_link(folder, 0, TEXT("file"), ROOT, TEXT("y")));
  EXPECT(NOTCAPABLE, _path_link(ROOT, 0, TEXT("file"), folder, TEXT("y")));
  EXPECT(NOTCAPABLE, _path_open(folder, 0, TEXT("file"), 0, READ, 0, 0, RESULT));
  EXPECT(NOTCAPABLE, _path_readlink(folder, TEXT("x"), BUFFER, 10, RESULT));
  EXPECT(NOTCAPABLE, _path_remove_directory(folder, TEXT("x")));
  EXPECT(NOTCAPABLE, _path_rename(folder, TEXT("file"), ROOT, TEXT("y")));
  EXPECT(NOTCAPABLE, _path_rename(ROOT, TEXT("file"), folder, TEXT("y")));
  EXPECT(NOTCAPABLE, _path_symlink(TEXT("x"), folder, TEXT("y")));
  EXPECT(NOTCAPABLE, _path_unlink_file(folder, TEXT("file")));
  DO(_fd_close(folder));
  folder = directory(".", 1 << 13); /* it may open, but neither create nor truncate */
  EXPECT(NOTCAPABLE, _path_open(folder, 0, TEXT("x"), CREAT, READ, 0, 0, RESULT));
  EXPECT(NOTCAPABLE, _path_open(folder, 0, TEXT("file"), TRUNC, READ, 0, 0, RESULT));
}

/* ------------------------------------------------------------------------------------------------------------------ paths */

#define LONG_NAME \
  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

/* Each path that is wrong by itself, for every function that takes one. */
#define WRONG_PATH(call)               \
  do {                                 \
    EXPECT(FAULT, call(OUTSIDE, 100)); \
    EXPECT(INVAL, call(TEXT("a\0b"))); \
    EXPECT(ILSEQ, call(TEXT("\xff")));       \
    EXPECT(PERM, call(TEXT("/file")));       \
    EXPECT(PERM, call(TEXT("../file")));     \
    EXPECT(PERM, call(TEXT("folder/../../file")));     \
    EXPECT(NOENT, call(TEXT("")));           \
    EXPECT(NOENT, call(TEXT("none/x")));  \
    EXPECT(NOTDIR, call(TEXT("file/x")));    \
    EXPECT(LOOP, call(TEXT("loop/x")));      \
    EXPECT(PERM, call(TEXT("outside/x")));   \
    EXPECT(NAMETOOLONG, call((i)buffer, 4097)); \
  } while (0)
#define _path_create_directory_of(...) _path_create_directory(ROOT, __VA_ARGS__)
#define _path_filestat_get_of(...) _path_filestat_get(ROOT, 0, __VA_ARGS__, RESULT)
#define _path_filestat_set_times_of(...) _path_filestat_set_times(ROOT, 0, __VA_ARGS__, 0, 0, 0)
#define _path_link_from(...) _path_link(ROOT, 0, __VA_ARGS__, ROOT, TEXT("new"))
#define _path_link_to(...) _path_link(ROOT, 0, TEXT("file"), ROOT, __VA_ARGS__)
#define _path_open_of(...) _path_open(ROOT, 0, __VA_ARGS__, 0, READ, 0, 0, RESULT)
#define _path_readlink_of(...) _path_readlink(ROOT, __VA_ARGS__, BUFFER + 5000, 10, RESULT)
#define _path_remove_directory_of(...) _path_remove_directory(ROOT, __VA_ARGS__)
#define _path_rename_from(...) _path_rename(ROOT, __VA_ARGS__, ROOT, TEXT("new"))
#define _path_rename_to(...) _path_rename(ROOT, TEXT("file"), ROOT, __VA_ARGS__)
#define _path_symlink_at(...) _path_symlink(TEXT("x"), ROOT, __VA_ARGS__)
#define _path_unlink_file_of(...) _path_unlink_file(ROOT, __VA_ARGS__)

static void tree(void) {
  _fd_close(file("file", ALL));
  DO(_path_create_directory(ROOT, TEXT("folder")));
  DO(_path_create_directory(ROOT, TEXT("empty")));
  DO(_path_create_directory(ROOT, TEXT("folder/inner")));
  DO(_path_symlink(TEXT("loop"), ROOT, TEXT("loop")));
  DO(_path_symlink(TEXT("file"), ROOT, TEXT("link")));
  DO(_path_symlink(TEXT(".."), ROOT, TEXT("outside")));
}

static void wrong_paths(void) {
  tree();
  memset(buffer, 'n', 5000);
  WRONG_PATH(_path_create_directory_of);
  WRONG_PATH(_path_filestat_get_of);
  WRONG_PATH(_path_filestat_set_times_of);
  WRONG_PATH(_path_link_from);
  WRONG_PATH(_path_link_to);
  WRONG_PATH(_path_open_of);
  WRONG_PATH(_path_readlink_of);
  WRONG_PATH(_path_remove_directory_of);
  WRONG_PATH(_path_rename_from);
  WRONG_PATH(_path_rename_to);
  WRONG_PATH(_path_symlink_at);
  WRONG_PATH(_path_unlink_file_of);
}

static void paths(void) {
  tree();
  EXPECT(EXIST, _path_create_directory(ROOT, TEXT("file")));
  EXPECT(EXIST, _path_create_directory(ROOT, TEXT("folder")));
  EXPECT(EXIST, _path_create_directory(ROOT, TEXT("link")));
  EXPECT(EXIST, _path_create_directory(ROOT, TEXT(".")));
  EXPECT(NOTDIR, _path_create_directory(2, TEXT("x")));

  EXPECT(NOENT, _path_filestat_get(ROOT, 0, TEXT("none"), RESULT));
  EXPECT(NOTDIR, _path_filestat_get(ROOT, 0, TEXT("file/"), RESULT));
  EXPECT(LOOP, _path_filestat_get(ROOT, FOLLOW, TEXT("loop"), RESULT));
  EXPECT(INVAL, _path_filestat_get(ROOT, 2, TEXT("file"), RESULT));
  EXPECT(FAULT, _path_filestat_get(ROOT, 0, TEXT("file"), OUTSIDE));
  EXPECT(NOTDIR, _path_filestat_get(2, 0, TEXT("x"), RESULT));

  EXPECT(NOENT, _path_filestat_set_times(ROOT, 0, TEXT("none"), 0, 0, 0));
  EXPECT(NOTDIR, _path_filestat_set_times(ROOT, 0, TEXT("file/"), 0, 0, 0));
  EXPECT(LOOP, _path_filestat_set_times(ROOT, FOLLOW, TEXT("loop"), 0, 0, 0));
  EXPECT(INVAL, _path_filestat_set_times(ROOT, 2, TEXT("file"), 0, 0, 0));
  EXPECT(INVAL, _path_filestat_set_times(ROOT, 0, TEXT("file"), 0, 0, 16));
  EXPECT(INVAL, _path_filestat_set_times(ROOT, 0, TEXT("file"), 0, 0, 1 | 2));
  EXPECT(OVERFLOW, _path_filestat_set_times(ROOT, 0, TEXT("file"), 0, -1, 4));
  EXPECT(NOTDIR, _path_filestat_set_times(2, 0, TEXT("x"), 0, 0, 0));

  EXPECT(NOENT, _path_link(ROOT, 0, TEXT("none"), ROOT, TEXT("new")));
  EXPECT(EXIST, _path_link(ROOT, 0, TEXT("file"), ROOT, TEXT("folder")));
  EXPECT(EXIST, _path_link(ROOT, 0, TEXT("file"), ROOT, TEXT("link")));
  EXPECT(EXIST, _path_link(ROOT, 0, TEXT("file"), ROOT, TEXT(".")));
  EXPECT(PERM, _path_link(ROOT, 0, TEXT("folder"), ROOT, TEXT("new")));
  EXPECT(PERM, _path_link(ROOT, 0, TEXT("."), ROOT, TEXT("new")));
  EXPECT(INVAL, _path_link(ROOT, FOLLOW, TEXT("link"), ROOT, TEXT("new")));
  EXPECT(INVAL, _path_link(ROOT, 2, TEXT("file"), ROOT, TEXT("new")));
  EXPECT(NOTDIR, _path_link(ROOT, 0, TEXT("file/"), ROOT, TEXT("new")));
  EXPECT(NOENT, _path_link(ROOT, 0, TEXT("file"), ROOT, TEXT("new/")));
  EXPECT(NOTDIR, _path_link(2, 0, TEXT("file"), ROOT, TEXT("new")));
  EXPECT(NOTDIR, _path_link(ROOT, 0, TEXT("file"), 2, TEXT("new")));

  EXPECT(NOENT, _path_open(ROOT, 0, TEXT("none"), 0, READ, 0, 0, RESULT));
  EXPECT(EXIST, _path_open(ROOT, 0, TEXT("file"), CREAT | EXCL, WRITE, 0, 0, RESULT));
  EXPECT(EXIST, _path_open(ROOT, 0, TEXT("folder"), CREAT | EXCL, WRITE, 0, 0, RESULT));
  EXPECT(EXIST, _path_open(ROOT, 0, TEXT("folder/"), CREAT | EXCL, WRITE, 0, 0, RESULT));
  EXPECT(ISDIR, _path_open(ROOT, 0, TEXT("folder"), 0, READ | WRITE, 0, 0, RESULT));
  EXPECT(ISDIR, _path_open(ROOT, 0, TEXT("folder"), TRUNC, READ, 0, 0, RESULT));
  EXPECT(ISDIR, _path_open(ROOT, 0, TEXT("folder"), CREAT, READ, 0, 0, RESULT));
  EXPECT(ISDIR, _path_open(ROOT, 0, TEXT("new/"), CREAT, READ, 0, 0, RESULT));
  EXPECT(NOTDIR, _path_open(ROOT, 0, TEXT("file"), DIRECTORY, READ, 0, 0, RESULT));
  EXPECT(NOTDIR, _path_open(ROOT, 0, TEXT("file/"), 0, READ, 0, 0, RESULT));
  EXPECT(LOOP, _path_open(ROOT, 0, TEXT("link"), 0, READ, 0, 0, RESULT));
  EXPECT(LOOP, _path_open(ROOT, FOLLOW, TEXT("loop"), 0, READ, 0, 0, RESULT));
  EXPECT(INVAL, _path_open(ROOT, 0, TEXT("file"), 16, READ, 0, 0, RESULT));
  EXPECT(INVAL, _path_open(ROOT, 0, TEXT("file"), 0, READ, 0, 32, RESULT));
  EXPECT(INVAL, _path_open(ROOT, 2, TEXT("file"), 0, READ, 0, 0, RESULT));
  EXPECT(INVAL, _path_open(ROOT, 0, TEXT("folder"), DIRECTORY | CREAT, READ, 0, 0, RESULT));
  EXPECT(FAULT, _path_open(ROOT, 0, TEXT("file"), 0, READ, 0, 0, OUTSIDE));
  EXPECT(NOTDIR, _path_open(2, 0, TEXT("file"), 0, READ, 0, 0, RESULT));

  EXPECT(NOENT, _path_readlink(ROOT, TEXT("none"), BUFFER, 10, RESULT));
  EXPECT(INVAL, _path_readlink(ROOT, TEXT("file"), BUFFER, 10, RESULT));
  EXPECT(INVAL, _path_readlink(ROOT, TEXT("folder"), BUFFER, 10, RESULT));
  EXPECT(INVAL, _path_readlink(ROOT, TEXT("."), BUFFER, 10, RESULT));
  EXPECT(FAULT, _path_readlink(ROOT, TEXT("link"), OUTSIDE, 100, RESULT));
  EXPECT(FAULT, _path_readlink(ROOT, TEXT("link"), BUFFER, 10, OUTSIDE));
  EXPECT(NOTDIR, _path_readlink(2, TEXT("link"), BUFFER, 10, RESULT));

  EXPECT(NOENT, _path_remove_directory(ROOT, TEXT("none")));
  EXPECT(NOTDIR, _path_remove_directory(ROOT, TEXT("file")));
  EXPECT(NOTDIR, _path_remove_directory(ROOT, TEXT("link")));
  EXPECT(NOTEMPTY, _path_remove_directory(ROOT, TEXT("folder")));
  EXPECT(INVAL, _path_remove_directory(ROOT, TEXT(".")));
  EXPECT(NOTDIR, _path_remove_directory(2, TEXT("x")));

  EXPECT(NOENT, _path_rename(ROOT, TEXT("none"), ROOT, TEXT("new")));
  EXPECT(ISDIR, _path_rename(ROOT, TEXT("file"), ROOT, TEXT("empty")));
  EXPECT(NOTDIR, _path_rename(ROOT, TEXT("empty"), ROOT, TEXT("file")));
  EXPECT(NOTEMPTY, _path_rename(ROOT, TEXT("empty"), ROOT, TEXT("folder")));
  EXPECT(INVAL, _path_rename(ROOT, TEXT("folder"), ROOT, TEXT("folder/inner/new")));
  EXPECT(NOTDIR, _path_rename(ROOT, TEXT("file/"), ROOT, TEXT("new")));
  EXPECT(NOTDIR, _path_rename(ROOT, TEXT("file"), ROOT, TEXT("new/")));
  EXPECT(BUSY, _path_rename(ROOT, TEXT("."), ROOT, TEXT("new")));
  EXPECT(BUSY, _path_rename(ROOT, TEXT("file"), ROOT, TEXT(".")));
  EXPECT(NOTDIR, _path_rename(2, TEXT("file"), ROOT, TEXT("new")));
  EXPECT(NOTDIR, _path_rename(ROOT, TEXT("file"), 2, TEXT("new")));

  EXPECT(EXIST, _path_symlink(TEXT("x"), ROOT, TEXT("file")));
  EXPECT(EXIST, _path_symlink(TEXT("x"), ROOT, TEXT("loop")));
  EXPECT(EXIST, _path_symlink(TEXT("x"), ROOT, TEXT(".")));
  EXPECT(EXIST, _path_symlink(TEXT("x"), ROOT, TEXT("folder/")));
  EXPECT(NOENT, _path_symlink(TEXT("x"), ROOT, TEXT("new/")));
  EXPECT(NOENT, _path_symlink(TEXT(""), ROOT, TEXT("new")));
  EXPECT(PERM, _path_symlink(TEXT("/etc"), ROOT, TEXT("new")));
  EXPECT(FAULT, _path_symlink(OUTSIDE, 100, ROOT, TEXT("new")));
  EXPECT(INVAL, _path_symlink(TEXT("a\0b"), ROOT, TEXT("new")));
  EXPECT(ILSEQ, _path_symlink(TEXT("\xff"), ROOT, TEXT("new")));
  EXPECT(NAMETOOLONG, _path_symlink(BUFFER, 4097, ROOT, TEXT("new")));
  EXPECT(NOTDIR, _path_symlink(TEXT("x"), 2, TEXT("new")));

  EXPECT(NOENT, _path_unlink_file(ROOT, TEXT("none")));
  EXPECT(ISDIR, _path_unlink_file(ROOT, TEXT("folder")));
  EXPECT(ISDIR, _path_unlink_file(ROOT, TEXT("folder/")));
  EXPECT(NOTDIR, _path_unlink_file(ROOT, TEXT("file/")));
  EXPECT(ISDIR, _path_unlink_file(ROOT, TEXT(".")));
  EXPECT(NOTDIR, _path_unlink_file(2, TEXT("x")));

  /* A directory that was removed while it was open. */
  i folder = directory("empty", ALL);
  DO(_path_remove_directory(ROOT, TEXT("empty")));
  EXPECT(NOENT, _path_create_directory(folder, TEXT("x")));
  EXPECT(NOENT, _path_open(folder, 0, TEXT("x"), CREAT, WRITE, 0, 0, RESULT));
  EXPECT(NOENT, _path_symlink(TEXT("x"), folder, TEXT("y")));
  EXPECT(NOENT, _path_link(ROOT, 0, TEXT("file"), folder, TEXT("y")));
  EXPECT(NOENT, _path_rename(ROOT, TEXT("file"), folder, TEXT("y")));
}

/* A name that is longer than the host's file systems have them. */
static void long_names(void) {
  _fd_close(file("file", ALL));
  EXPECT(NAMETOOLONG, _path_create_directory(ROOT, TEXT(LONG_NAME)));
  EXPECT(NAMETOOLONG, _path_filestat_get(ROOT, 0, TEXT(LONG_NAME), RESULT));
  EXPECT(NAMETOOLONG, _path_filestat_set_times(ROOT, 0, TEXT(LONG_NAME), 0, 0, 0));
  EXPECT(NAMETOOLONG, _path_link(ROOT, 0, TEXT(LONG_NAME), ROOT, TEXT("new")));
  EXPECT(NAMETOOLONG, _path_link(ROOT, 0, TEXT("file"), ROOT, TEXT(LONG_NAME)));
  EXPECT(NAMETOOLONG, _path_open(ROOT, 0, TEXT(LONG_NAME), CREAT, WRITE, 0, 0, RESULT));
  EXPECT(NAMETOOLONG, _path_readlink(ROOT, TEXT(LONG_NAME), BUFFER, 10, RESULT));
  EXPECT(NAMETOOLONG, _path_remove_directory(ROOT, TEXT(LONG_NAME)));
  EXPECT(NAMETOOLONG, _path_rename(ROOT, TEXT(LONG_NAME), ROOT, TEXT("new")));
  EXPECT(NAMETOOLONG, _path_rename(ROOT, TEXT("file"), ROOT, TEXT(LONG_NAME)));
  EXPECT(NAMETOOLONG, _path_symlink(TEXT("x"), ROOT, TEXT(LONG_NAME)));
  EXPECT(NAMETOOLONG, _path_unlink_file(ROOT, TEXT(LONG_NAME)));
}

/* More directories than one path may open. */
static void many_steps(void) {
  DO(_path_create_directory(ROOT, TEXT("a")));
  DO(_path_create_directory(ROOT, TEXT("a/a")));
  for (i at = 0; at < sizeof buffer; at += 10) memcpy(buffer + at, "a/a/../../", 10);
  EXPECT(LOOP, _path_filestat_get(ROOT, 0, BUFFER, sizeof buffer, RESULT));
}

/* The mount has a file, a folder, and a link to the file; nothing in it can be changed. */
static void read_only(void) {
  EXPECT(ROFS, _path_create_directory(ROOT, TEXT("new")));
  EXPECT(EXIST, _path_create_directory(ROOT, TEXT(".")));
  EXPECT(ROFS, _path_filestat_set_times(ROOT, 0, TEXT("file"), 0, 0, 1));
  EXPECT(ROFS, _path_filestat_set_times(ROOT, 0, TEXT("."), 0, 0, 1));
  EXPECT(ROFS, _path_link(ROOT, 0, TEXT("file"), ROOT, TEXT("new")));
  EXPECT(ROFS, _path_open(ROOT, 0, TEXT("new"), CREAT, WRITE, 0, 0, RESULT));
  EXPECT(ROFS, _path_open(ROOT, 0, TEXT("file"), 0, WRITE, 0, 0, RESULT));
  EXPECT(ROFS, _path_open(ROOT, 0, TEXT("file"), TRUNC, READ, 0, 0, RESULT));
  EXPECT(EXIST, _path_open(ROOT, 0, TEXT("file"), CREAT | EXCL, WRITE, 0, 0, RESULT));
  EXPECT(ISDIR, _path_open(ROOT, 0, TEXT("folder"), 0, WRITE, 0, 0, RESULT));
  EXPECT(LOOP, _path_open(ROOT, 0, TEXT("link"), 0, READ, 0, 0, RESULT));
  EXPECT(LOOP, _path_open(ROOT, 0, TEXT("link"), 0, WRITE, 0, 0, RESULT));
  EXPECT(NOENT, _path_open(ROOT, 0, TEXT("none"), 0, READ, 0, 0, RESULT));
  EXPECT(NOENT, _path_open(ROOT, 0, TEXT("none"), 0, WRITE, 0, 0, RESULT));
  EXPECT(NOTDIR, _path_open(ROOT, 0, TEXT("file"), DIRECTORY, READ, 0, 0, RESULT));
  EXPECT(NOENT, _path_readlink(ROOT, TEXT("none"), BUFFER, 10, RESULT));
  EXPECT(INVAL, _path_readlink(ROOT, TEXT("file"), BUFFER, 10, RESULT));
  EXPECT(ROFS, _path_remove_directory(ROOT, TEXT("folder")));
  EXPECT(ROFS, _path_rename(ROOT, TEXT("file"), ROOT, TEXT("new")));
  EXPECT(ROFS, _path_symlink(TEXT("file"), ROOT, TEXT("new")));
  EXPECT(ROFS, _path_unlink_file(ROOT, TEXT("file")));
  i fd = opened(ROOT, "file", 0, ALL & ~(WRITE | ALLOCATE | SET_SIZE), 0);
  EXPECT(NOTCAPABLE, _fd_write(fd, ONE, RESULT));
  EXPECT(NOTCAPABLE, _fd_allocate(fd, 0, 100));
  EXPECT(NOTCAPABLE, _fd_filestat_set_size(fd, 0));
  EXPECT(ROFS, _fd_filestat_set_times(fd, 0, 0, 1));
  i folder = directory(".", ALL);
  EXPECT(ROFS, _fd_filestat_set_times(folder, 0, 0, 1));
}

/* Two mounts, at least one of them another file system. */
static void two_mounts(void) {
  _fd_close(file("file", ALL));
  EXPECT(XDEV, _path_link(ROOT, 0, TEXT("file"), OTHER, TEXT("new")));
  EXPECT(XDEV, _path_rename(ROOT, TEXT("file"), OTHER, TEXT("new")));
  DO(_path_create_directory(OTHER, TEXT("folder")));
  EXPECT(XDEV, _path_rename(OTHER, TEXT("folder"), ROOT, TEXT("new")));
}

/* A file system with no room for more than a file of ten bytes. */
static void full(void) {
  i fd = file("file", ALL);
  EXPECT(NOSPC, _fd_allocate(fd, 0, 100000));
  EXPECT(NOSPC, _fd_filestat_set_size(fd, 100000));
  DO(_fd_seek(fd, 100000, 0, RESULT));
  EXPECT(NOSPC, _fd_write(fd, ONE, RESULT));
  EXPECT(NOSPC, _fd_pwrite(fd, ONE, 100000, RESULT));
  memset(buffer, 'n', 4000);
  EXPECT(NOSPC, _path_create_directory(ROOT, BUFFER, 200));
  EXPECT(NOSPC, _path_symlink(BUFFER, 4000, ROOT, TEXT("new")));
  EXPECT(NOSPC, _path_open(ROOT, 0, BUFFER, 200, CREAT, WRITE, 0, 0, RESULT));
  EXPECT(NOSPC, _path_link(ROOT, 0, TEXT("file"), ROOT, BUFFER, 200));
  EXPECT(NOSPC, _path_rename(ROOT, TEXT("file"), ROOT, BUFFER, 200));
}

/* Five descriptors at most, paths of 20 bytes, files of 100. */
static void quotas(void) {
  i fd = file("file", ALL);
  EXPECT(MFILE, _path_open(ROOT, 0, TEXT("file"), 0, READ, 0, 0, RESULT));
  EXPECT(NAMETOOLONG, _path_filestat_get(ROOT, 0, TEXT("123456789012345678901"), RESULT));
  EXPECT(FBIG, _fd_allocate(fd, 0, 101));
  EXPECT(FBIG, _fd_filestat_set_size(fd, 101));
  EXPECT(FBIG, _fd_pwrite(fd, ONE, 100, RESULT));
  DO(_fd_seek(fd, 100, 0, RESULT));
  EXPECT(FBIG, _fd_write(fd, ONE, RESULT));
  DO(_fd_filestat_set_size(fd, 100));
  DO(_fd_fdstat_set_flags(fd, APPEND));
  EXPECT(FBIG, _fd_write(fd, ONE, RESULT));
}

/* The mount has a pipe that nobody writes to. */
static void pipe(void) {
  EXPECT(NXIO, _path_open(ROOT, 0, TEXT("pipe"), 0, WRITE, 0, 0, RESULT));
  i fd = opened(ROOT, "pipe", 0, READ | SEEK | TELL | ADVISE, NONBLOCK);
  EXPECT(SPIPE, _fd_advise(fd, 0, 0, 0));
  EXPECT(SPIPE, _fd_pread(fd, ONE, 0, RESULT));
  EXPECT(SPIPE, _fd_seek(fd, 0, 0, RESULT));
  EXPECT(SPIPE, _fd_tell(fd, RESULT));
  i writing = opened(ROOT, "pipe", 0, WRITE | SEEK | ALLOCATE | SET_SIZE | DATASYNC | SYNC, NONBLOCK);
  EXPECT(AGAIN, _fd_read(fd, ONE, RESULT));
  EXPECT(SPIPE, _fd_pwrite(writing, ONE, 0, RESULT));
  EXPECT(SPIPE, _fd_allocate(writing, 0, 1));
  EXPECT(INVAL, _fd_filestat_set_size(writing, 0));
  EXPECT(INVAL, _fd_sync(writing));
  EXPECT(INVAL, _fd_datasync(writing));
  one->length = sizeof buffer;
  DO(_fd_write(writing, ONE, RESULT));
  EXPECT(AGAIN, _fd_write(writing, ONE, RESULT));
  one->length = 10;
  DO(_fd_close(fd));
  EXPECT(PIPE, _fd_write(writing, ONE, RESULT));
}

/* ---------------------------------------------------------------------------------------------------------------- streams */

/* Standard input is a pipe that is empty, and stays open. */
static void streams(void) {
  EXPECT(BADF, _fd_advise(0, 0, 0, 0));
  EXPECT(BADF, _fd_allocate(0, 0, 1));
  EXPECT(INVAL, _fd_datasync(2));
  EXPECT(INVAL, _fd_sync(2));
  EXPECT(NOTSUP, _fd_fdstat_set_flags(2, DSYNC));
  EXPECT(BADF, _fd_filestat_set_size(2, 0));
  EXPECT(BADF, _fd_filestat_set_times(2, 0, 0, 1));
  EXPECT(SPIPE, _fd_pread(0, ONE, 0, RESULT));
  EXPECT(SPIPE, _fd_pwrite(2, ONE, 0, RESULT));
  EXPECT(SPIPE, _fd_seek(0, 0, 1, RESULT));
  EXPECT(SPIPE, _fd_tell(0, RESULT));
  EXPECT(NOTDIR, _fd_readdir(0, BUFFER, 100, 0, RESULT));
  EXPECT(BADF, _fd_read(2, ONE, RESULT));
  EXPECT(BADF, _fd_write(0, ONE, RESULT));
  EXPECT(NOTSOCK, _sock_accept(0, 0, RESULT));
  EXPECT(NOTSOCK, _sock_recv(0, ONE, 0, RESULT, RESULT + 8));
  EXPECT(NOTSOCK, _sock_send(2, ONE, 0, RESULT));
  EXPECT(NOTSOCK, _sock_shutdown(0, 1));
  DO(_fd_fdstat_set_flags(0, NONBLOCK));
  EXPECT(AGAIN, _fd_read(0, ONE, RESULT));
}

/* Standard error is a pipe that is full. */
static void full_stream(void) {
  DO(_fd_fdstat_set_flags(2, NONBLOCK));
  EXPECT(AGAIN, _fd_write(2, ONE, RESULT));
}

/* Nobody reads what is written to standard error. */
static void broken_stream(void) { EXPECT(PIPE, _fd_write(2, ONE, RESULT)); }

/* All that standard output may take is 100,000 bytes. */
static void output_budget(void) {
  one->length = 65536;
  DO(_fd_write(2, ONE, RESULT));
  DO(_fd_write(2, ONE, RESULT));
  EXPECT(NOSPC, _fd_write(2, ONE, RESULT));
}

/* Standard input is a function that has nothing yet. */
static void later(void) { EXPECT(AGAIN, _fd_read(0, ONE, RESULT)); }

/* ------------------------------------------------------------------------------------------------------------------- polls */

struct subscription {
  int64_t userdata;
  uint8_t type;
  union {
    struct {
      i clock;
      int64_t timeout, precision;
      uint16_t flags;
    };
    i fd;
  };
};
struct event {
  int64_t userdata;
  uint16_t error;
  uint8_t type;
  uint64_t available;
  uint16_t flags;
};

static int _poll_oneoff_event(struct subscription each) {
  struct event event;
  int error = _poll_oneoff((i)&each, (i)&event, 1, RESULT);
  return error ? 1000 + error : event.error;
}
#define CLOCK(...) ((struct subscription){.type = 0, __VA_ARGS__})
#define FD(kind, number) ((struct subscription){.type = kind, .fd = number})

static void polls(void) {
  struct subscription wrong = {.type = 3}, now = {.type = 0};
  struct event event;
  EXPECT(INVAL, _poll_oneoff((i)&now, (i)&event, 0, RESULT));
  EXPECT(INVAL, _poll_oneoff((i)&now, (i)&event, 65537, RESULT));
  EXPECT(INVAL, _poll_oneoff((i)&wrong, (i)&event, 1, RESULT));
  EXPECT(FAULT, _poll_oneoff(OUTSIDE, (i)&event, 1, RESULT));
  EXPECT(FAULT, _poll_oneoff((i)&now, OUTSIDE, 1, RESULT));
  EXPECT(FAULT, _poll_oneoff((i)&now, (i)&event, 1, -2));
  EXPECT(SUCCESS, _poll_oneoff_event(now));
  EXPECT(INVAL, _poll_oneoff_event(CLOCK(.clock = 9)));
  EXPECT(INVAL, _poll_oneoff_event(CLOCK(.clock = 9, .flags = 1)));
  EXPECT(INVAL, _poll_oneoff_event(CLOCK(.flags = 2)));
  EXPECT(BADF, _poll_oneoff_event(FD(1, NONE)));
  EXPECT(BADF, _poll_oneoff_event(FD(2, NONE)));
  EXPECT(BADF, _poll_oneoff_event(FD(1, ROOT)));
  EXPECT(BADF, _poll_oneoff_event(FD(2, ROOT)));
  i fd = file("file", READ);
  EXPECT(NOTCAPABLE, _poll_oneoff_event(FD(1, fd)));
  EXPECT(NOTCAPABLE, _poll_oneoff_event(FD(2, fd)));
}

/* ----------------------------------------------------------------------------------------------------------------- sockets */

/* Descriptor 3 listens, and five descriptors are allowed: a client is to come, send nothing, and reset the connection. */
static void sockets(void) {
  EXPECT(INVAL, _sock_accept(3, 1, RESULT));
  EXPECT(FAULT, _sock_accept(3, 0, OUTSIDE));
  EXPECT(NOTCONN, _sock_recv(3, ONE, 0, RESULT, RESULT + 8));
  EXPECT(NOTCONN, _sock_send(3, ONE, 0, RESULT));
  EXPECT(NOTCONN, _sock_shutdown(3, 1));
  EXPECT(INVAL, _fd_fdstat_set_flags(3, APPEND));
  EXPECT(BADF, _fd_read(3, ONE, RESULT));
  EXPECT(BADF, _fd_write(3, ONE, RESULT));
  DO(_sock_accept(3, NONBLOCK, RESULT));
  i fd = result[0];
  EXPECT(INVAL, _sock_accept(fd, 0, RESULT));
  EXPECT(AGAIN, _sock_recv(fd, ONE, 0, RESULT, RESULT + 8));
  EXPECT(AGAIN, _fd_read(fd, ONE, RESULT));
  EXPECT(NOTSUP, _sock_recv(fd, ONE, 4, RESULT, RESULT + 8));
  EXPECT(FAULT, _sock_recv(fd, ONE, 0, OUTSIDE, RESULT + 8));
  EXPECT(FAULT, _sock_recv(fd, ONE, 0, RESULT, -1));
  EXPECT(FAULT, _sock_recv(fd, (i)outside, 1, 0, RESULT, RESULT + 8));
  EXPECT(INVAL, _sock_recv(fd, MANY, 0, RESULT, RESULT + 8));
  EXPECT(NOTSUP, _sock_send(fd, ONE, 1, RESULT));
  EXPECT(FAULT, _sock_send(fd, ONE, 0, OUTSIDE));
  EXPECT(FAULT, _sock_send(fd, (i)outside, 1, 0, RESULT));
  EXPECT(INVAL, _sock_send(fd, MANY, 0, RESULT));
  EXPECT(INVAL, _sock_shutdown(fd, 0));
  EXPECT(INVAL, _sock_shutdown(fd, 4));
  EXPECT(SPIPE, _fd_pread(fd, ONE, 0, RESULT));
  EXPECT(SPIPE, _fd_pwrite(fd, ONE, 0, RESULT));
  EXPECT(SPIPE, _fd_seek(fd, 0, 0, RESULT));
  EXPECT(SPIPE, _fd_tell(fd, RESULT));
  EXPECT(MFILE, _sock_accept(3, 0, RESULT));
  one->length = sizeof buffer;
  while (!_sock_send(fd, ONE, 0, RESULT)) continue;
  EXPECT(AGAIN, _sock_send(fd, ONE, 0, RESULT));
  one->length = 10;
  DO(_sock_shutdown(fd, 2));
  EXPECT(PIPE, _sock_send(fd, ONE, 0, RESULT));
  EXPECT(PIPE, _fd_write(fd, ONE, RESULT));
  DO(_fd_fdstat_set_rights(fd, 0, 0));
  EXPECT(NOTCAPABLE, _sock_recv(fd, ONE, 0, RESULT, RESULT + 8));
  EXPECT(NOTCAPABLE, _sock_send(fd, ONE, 0, RESULT));
  EXPECT(NOTCAPABLE, _sock_shutdown(fd, 1));
  DO(_fd_close(fd));
  DO(_fd_fdstat_set_flags(3, NONBLOCK));
  EXPECT(AGAIN, _sock_accept(3, 0, RESULT));
  DO(_fd_fdstat_set_rights(3, 0, 0));
  EXPECT(NOTCAPABLE, _sock_accept(3, 0, RESULT));
}

/* Descriptor 3 listens; the client resets its connection. */
static void reset(void) {
  DO(_sock_accept(3, 0, RESULT));
  EXPECT(CONNRESET, _sock_recv(result[0], ONE, 0, RESULT + 8, RESULT + 16));
}

static const struct {
  const char *name;
  void (*run)(void);
} groups[] = {
  {"process", process}, {"no_such_clock", no_such_clock}, {"short_random", short_random}, {"no_descriptor", no_descriptor},
  {"descriptors", descriptors}, {"rights", rights}, {"wrong_paths", wrong_paths}, {"paths", paths},
  {"long_names", long_names}, {"many_steps", many_steps}, {"read_only", read_only}, {"two_mounts", two_mounts},
  {"full", full}, {"quotas", quotas}, {"pipe", pipe}, {"streams", streams}, {"full_stream", full_stream},
  {"broken_stream", broken_stream}, {"output_budget", output_budget}, {"later", later}, {"polls", polls},
  {"sockets", sockets}, {"reset", reset},
};

int main(int argc, char **argv) {
  for (size_t each = 0; argc > 1 && each < sizeof groups / sizeof *groups; each++)
    if (!strcmp(argv[1], groups[each].name)) return groups[each].run(), 0;
  return 2;
}
