/* Small tools in one program, so that the tests need one compilation: the first argument says which.
 * `calls` calls every function of preview 1 directly and prints the name and the error number of each call. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

extern char **environ;

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return 1;
}

static int echo(int argc, char **argv) {
  for (int i = 0; i < argc; i++) printf("%s%s", i ? " " : "", argv[i]);
  printf("\n");
  for (char **variable = environ; *variable; variable++) printf("%s\n", *variable);
  return 0;
}

static int cat(int argc, char **argv) {
  for (int i = 0; i < argc || i == 0; i++) {
    FILE *file = argc ? fopen(argv[i], "r") : stdin;
    if (!file) return fail(argv[i]);
    char buffer[1000];
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, file));) fwrite(buffer, 1, got, stdout);
    if (file != stdin) fclose(file);
  }
  return 0;
}

static int walk(const char *path, int depth) {
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort);
  if (count < 0) return fail(path);
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
    char inner[1000];
    snprintf(inner, sizeof inner, "%s/%s", path, name);
    struct stat found;
    if (lstat(inner, &found)) return fail(inner);
    printf("%*s%s", 2 * depth, "", name);
    if (S_ISDIR(found.st_mode)) {
      printf("/\n");
      if (walk(inner, depth + 1)) return 1;
    } else if (S_ISLNK(found.st_mode)) {
      char target[1000];
      ssize_t length = readlink(inner, target, sizeof target - 1);
      if (length < 0) return fail(inner);
      target[length] = 0;
      printf(" -> %s\n", target);
    } else {
      printf(" %lld\n", (long long)found.st_size);
    }
  }
  return 0;
}

static int tree(int argc, char **argv) { return walk(argc ? argv[0] : ".", 0); }

/* What an editor does, for each text: write a new file, make it last, put it in the place of the old one. */
static int edit(int argc, char **argv) {
  char fresh[1000];
  snprintf(fresh, sizeof fresh, "%s.new", argv[0]);
  for (int i = 1; i < argc; i++) {
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd < 0) return fail(fresh);
    if (write(fd, argv[i], strlen(argv[i])) < 0 || fsync(fd) || close(fd)) return fail(fresh);
    if (rename(fresh, argv[0])) return fail(argv[0]);
  }
  return 0;
}

static int append(int argc, char **argv) {
  int count = atoi(argv[1]);
  int fd = open(argv[0], O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd < 0) return fail(argv[0]);
  for (int i = 0; i < count; i++)
    if (dprintf(fd, "guest %d\n", i) < 0) return fail(argv[0]);
  return close(fd) ? fail(argv[0]) : 0;
}

/* Writes lines to a log, which it empties after every tenth. */
static int rotate(int argc, char **argv) {
  int count = atoi(argv[1]);
  int fd = open(argv[0], O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd < 0) return fail(argv[0]);
  for (int i = 1; i <= count; i++) {
    if (dprintf(fd, "guest %d\n", i) < 0) return fail(argv[0]);
    if (i % 10 == 0 && (ftruncate(fd, 0) || fdatasync(fd))) return fail(argv[0]);
  }
  return close(fd) ? fail(argv[0]) : 0;
}

static int sleep_for(int argc, char **argv) {
  struct timespec time = {atol(argv[0]) / 1000, atol(argv[0]) % 1000 * 1000000};
  return nanosleep(&time, NULL) ? fail("nanosleep") : 0;
}

static int end(int argc, char **argv) { exit(atoi(argv[0])); }

static int crash(int argc, char **argv) { __builtin_trap(); }

#define SAY(call) printf("%s %d\n", #call, (int)(call))

static int calls(int argc, char **argv) {
  __wasi_size_t size, count;
  __wasi_timestamp_t time;
  __wasi_fd_t fd, other;
  __wasi_fdstat_t fdstat;
  __wasi_filestat_t stat;
  __wasi_filesize_t offset;
  __wasi_prestat_t prestat;
  uint8_t bytes[100], text[1000], *pointers[10];
  __wasi_iovec_t in = {bytes, sizeof bytes};
  __wasi_ciovec_t out = {(const uint8_t *)"0123456789", 10};
  const __wasi_rights_t all = (1 << 29) - 1;
  const __wasi_fd_t root = 3;
  __wasi_subscription_t subscription = {.userdata = 7, .u = {.tag = __WASI_EVENTTYPE_CLOCK}};
  subscription.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
  subscription.u.u.clock.timeout = 1000;
  __wasi_event_t event;
  __wasi_roflags_t roflags;

  SAY(__wasi_args_sizes_get(&count, &size));
  SAY(__wasi_args_get(pointers, text));
  SAY(__wasi_environ_sizes_get(&count, &size));
  SAY(__wasi_environ_get(pointers, text));
  SAY(__wasi_clock_res_get(__WASI_CLOCKID_REALTIME, &time));
  SAY(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &time));
  SAY(__wasi_clock_time_get(9, 1, &time));
  SAY(__wasi_random_get(bytes, sizeof bytes));
  SAY(__wasi_sched_yield());
  SAY(__wasi_poll_oneoff(&subscription, &event, 1, &count));
  printf("event %d %d %d\n", (int)event.userdata, event.error, event.type);
  SAY(__wasi_poll_oneoff(&subscription, &event, 0, &count));

  SAY(__wasi_fd_prestat_get(root, &prestat));
  SAY(__wasi_fd_prestat_dir_name(root, text, prestat.u.dir.pr_name_len));
  SAY(__wasi_fd_prestat_get(root + 1, &prestat));
  SAY(__wasi_path_create_directory(root, "dir"));
  SAY(__wasi_path_create_directory(root, "dir"));
  SAY(__wasi_path_open(root, 0, "dir/file", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, all, all, 0, &fd));
  SAY(__wasi_path_open(root, 0, "dir/file", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, all, all, 0, &other));
  SAY(__wasi_path_open(root, 0, "missing", 0, all, all, 0, &other));
  SAY(__wasi_path_open(root, 0, "../x", 0, all, all, 0, &other));
  SAY(__wasi_fd_fdstat_get(fd, &fdstat));
  SAY(__wasi_fd_write(fd, &out, 1, &size));
  SAY(__wasi_fd_pwrite(fd, &out, 1, 5, &size));
  SAY(__wasi_fd_seek(fd, 2, __WASI_WHENCE_SET, &offset));
  SAY(__wasi_fd_read(fd, &in, 1, &size));
  printf("read %.*s\n", (int)size, bytes);
  SAY(__wasi_fd_pread(fd, &in, 1, 12, &size));
  printf("read %.*s\n", (int)size, bytes);
  SAY(__wasi_fd_tell(fd, &offset));
  SAY(__wasi_fd_seek(fd, -1, __WASI_WHENCE_SET, &offset));
  SAY(__wasi_fd_advise(fd, 0, 10, __WASI_ADVICE_WILLNEED));
  SAY(__wasi_fd_allocate(fd, 0, 100));
  SAY(__wasi_fd_filestat_set_size(fd, 4));
  SAY(__wasi_fd_filestat_set_times(fd, 1000, 2000, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
  SAY(__wasi_fd_filestat_get(fd, &stat));
  printf("size %d modified %d\n", (int)stat.size, (int)stat.mtim);
  SAY(__wasi_fd_datasync(fd));
  SAY(__wasi_fd_sync(fd));
  SAY(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
  SAY(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_READ, 0));
  SAY(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_WRITE, 0));
  SAY(__wasi_path_symlink("dir/file", root, "link"));
  SAY(__wasi_path_readlink(root, "link", text, sizeof text, &size));
  printf("link %.*s\n", (int)size, text);
  SAY(__wasi_path_link(root, 0, "dir/file", root, "hard"));
  SAY(__wasi_path_filestat_get(root, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link", &stat));
  printf("links %d\n", (int)stat.nlink);
  SAY(__wasi_path_filestat_set_times(root, 0, "hard", 1, 2, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW));
  SAY(__wasi_path_rename(root, "hard", root, "renamed"));
  SAY(__wasi_fd_readdir(root, text, sizeof text, 0, &size));
  printf("entries %d\n", (int)size);
  SAY(__wasi_path_unlink_file(root, "renamed"));
  SAY(__wasi_path_unlink_file(root, "renamed"));
  SAY(__wasi_path_unlink_file(root, "link"));
  SAY(__wasi_path_remove_directory(root, "dir"));
  SAY(__wasi_path_unlink_file(root, "dir/file"));
  SAY(__wasi_path_remove_directory(root, "dir"));
  SAY(__wasi_path_open(root, 0, "other", __WASI_OFLAGS_CREAT, all, all, 0, &other));
  SAY(__wasi_fd_renumber(other, fd));
  SAY(__wasi_fd_close(other));
  SAY(__wasi_fd_close(fd));
  SAY(__wasi_fd_close(fd));
  SAY(__wasi_path_unlink_file(root, "other"));
  SAY(__wasi_sock_accept(1, 0, &other));
  SAY(__wasi_sock_recv(1, &in, 1, 0, &size, &roflags));
  SAY(__wasi_sock_send(1, &out, 1, 0, &size));
  SAY(__wasi_sock_shutdown(1, __WASI_SDFLAGS_RD));
  fflush(stdout);
  __wasi_proc_exit(42);
}

/* Answers one connection on the listener that comes after the mounts. */
static int serve(int argc, char **argv) {
  __wasi_fd_t connection;
  char text[100] = "you said: ";
  if ((errno = __wasi_sock_accept(3, 0, &connection))) return fail("accept");
  ssize_t got = read(connection, text + 10, sizeof text - 10);
  if (got < 0 || write(connection, text, 10 + got) < 0) return fail("answer");
  return close(connection) ? fail("close") : 0;
}

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
} tools[] = {{"echo", echo}, {"cat", cat},   {"tree", tree},       {"edit", edit},   {"append", append}, {"rotate", rotate},
             {"end", end},   {"crash", crash}, {"sleep", sleep_for}, {"calls", calls}, {"serve", serve}};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof tools / sizeof *tools; i++)
    if (!strcmp(argv[1], tools[i].name)) return tools[i].run(argc - 2, argv + 2);
  fprintf(stderr, "usage: tools NAME ...\n");
  return 2;
}
