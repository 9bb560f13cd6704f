// Walks a directory tree as find(1) and du(1) do: every path with its kind and size, then the sum of the sizes.
// usage: walk DIRECTORY

#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

static long long total;

static int visit(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    const char *what = kind == FTW_DP ? "directory" : kind == FTW_SL ? "link" : kind == FTW_F ? "file" : "unreadable";
    printf("%d %s %s", where->level, what, path + where->base);
    if (kind == FTW_F) {
        printf(" %lld", (long long)status->st_size);
        total += status->st_size;
    }
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: walk DIRECTORY\n");
        return 2;
    }
    if (nftw(argv[1], visit, 8, FTW_PHYS | FTW_DEPTH)) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    printf("%lld bytes\n", total);
    return 0;
}
