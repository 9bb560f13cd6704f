/* Pointers and recursion: binary trees, built and taken down by an allocator of their own. */
#include "kernel.h"

typedef struct node { struct node *left, *right; } node;
static node pool[1 << 16], *unused;
static u32 fresh;

NOINLINE static node *build(u32 depth) {
    node *made = unused;
    if (made) unused = made->left;
    else made = &pool[fresh++];
    made->left = depth ? build(depth - 1) : 0;
    made->right = depth ? build(depth - 1) : 0;
    return made;
}

NOINLINE static u32 count(const node *tree) { return tree->left ? 1 + count(tree->left) + count(tree->right) : 1; }

NOINLINE static void release(node *tree) {
    if (tree->left) release(tree->left), release(tree->right);
    tree->left = unused;
    unused = tree;
}

KERNEL {
    u32 sum = 0;
    while (n--) {
        node *tree = build(10 + n % 4);
        sum = sum * 31 + count(tree);
        release(tree);
    }
    return sum;
}
