// SPDX-License-Identifier: Apache-2.0
//
// blobs and unzip: code on disk, and packages that try to write elsewhere. The packages are made here, byte by byte, by
// a small zip writer, because no ordinary one makes what an attacker does (APPNOTE.TXT of PKWARE, sections 4.3.7
// to 4.3.16).
#include "store/unzip.h"
#include "store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char *const unusable = "Could not unzip uploaded file. Please check your file, then try to upload again.";
static const char *const empty = "Uploaded file must be a non-empty zip";

// A package being made, and where it is unpacked; the store and its directory.
struct package {
    struct fixture *base;
    int out;
    struct sl_store *store;
    struct sl_buf zip, directory;
    unsigned entries;
    struct sl_str suspect; // name of its one bad entry
    struct sl_error err;
};

static int set_up_package(void **state) {
    struct package *p = calloc(1, sizeof *p);
    if (!p || set_up(state)) return -1;
    p->base = *state;
    p->store = p->base->store;
    if (mkdirat(p->base->dir, "out", 0755)) return -1;
    p->out = openat(p->base->dir, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sl_buf_init(&p->zip, 64 << 20);
    sl_buf_init(&p->directory, 64 << 20);
    *state = p;
    return p->out < 0 ? -1 : 0;
}

static int tear_down_package(void **state) {
    struct package *p = *state;
    void *base = p->base;
    close(p->out);
    sl_buf_free(&p->zip);
    sl_buf_free(&p->directory);
    free(p);
    return tear_down(&base);
}

// --- a zip writer ---

static void put16(struct sl_buf *out, unsigned value) {
    sl_buf_char(out, (char)(value & 255));
    sl_buf_char(out, (char)(value >> 8 & 255));
}

static void put32(struct sl_buf *out, size_t value) {
    put16(out, (unsigned)(value & 0xffff));
    put16(out, (unsigned)(value >> 16 & 0xffff));
}

struct entry {
    struct sl_str name, content;
    unsigned mode;      // 0: made on MS-DOS, no mode
    unsigned flags;     // general purpose bit flag
    size_t zeros;       // instead of content: that many, deflated
    unsigned crc_error; // added to the checksum
};

static struct sl_str deflated_zeros(size_t count, struct sl_buf *out, uLong *crc) {
    static unsigned char block[1 << 16];
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    sl_buf_init(out, 16 << 20);
    *crc = crc32(0, NULL, 0);
    int code = Z_OK;
    while (code != Z_STREAM_END) {
        size_t part = count < sizeof block ? count : sizeof block;
        if (!z.avail_in && part) {
            z.next_in = block;
            z.avail_in = (uInt)part;
            *crc = crc32(*crc, block, (uInt)part);
            count -= part;
        }
        z.next_out = (Bytef *)sl_buf_reserve(out, 4096);
        z.avail_out = 4096;
        code = deflate(&z, count ? Z_NO_FLUSH : Z_FINISH);
        out->len += 4096 - z.avail_out;
    }
    deflateEnd(&z);
    return sl_buf_view(out);
}

static void put_entry_fields(struct sl_buf *out, const struct entry *entry, size_t packed, size_t size, uLong crc) {
    put16(out, 20);                   // version needed
    put16(out, entry->flags | 0x800); // names are UTF-8
    put16(out, entry->zeros ? 8 : 0);
    put16(out, 0);            // time
    put16(out, 40 << 9 | 33); // 2020-01-01
    put32(out, crc + entry->crc_error);
    put32(out, packed);
    put32(out, size);
    put16(out, (unsigned)entry->name.len);
    put16(out, 0);
}

static void add(struct package *p, struct entry entry) {
    struct sl_buf compressed = {0};
    uLong crc = crc32(0, (const Bytef *)entry.content.ptr, (uInt)entry.content.len);
    struct sl_str data = entry.content;
    if (entry.zeros) data = deflated_zeros(entry.zeros, &compressed, &crc);
    size_t size = entry.zeros ? entry.zeros : data.len, offset = p->zip.len;
    sl_buf_put(&p->zip, "PK\3\4", 4);
    put_entry_fields(&p->zip, &entry, data.len, size, crc);
    sl_buf_str(&p->zip, entry.name);
    sl_buf_str(&p->zip, data);
    sl_buf_put(&p->directory, "PK\1\2", 4);
    put16(&p->directory, entry.mode ? 3 << 8 | 20 : 20); // made by: Unix or MS-DOS
    put_entry_fields(&p->directory, &entry, data.len, size, crc);
    put16(&p->directory, 0); // comment
    put16(&p->directory, 0); // disk
    put16(&p->directory, 0); // internal attributes
    put32(&p->directory, (size_t)entry.mode << 16);
    put32(&p->directory, offset);
    sl_buf_str(&p->directory, entry.name);
    p->entries++;
    sl_buf_free(&compressed);
}

static void add_file(struct package *p, const char *name, const char *content) {
    add(p, (struct entry){.name = sl_str_of(name), .content = sl_str_of(content), .mode = 0100644});
}

static void add_link(struct package *p, const char *name, const char *target) {
    add(p, (struct entry){.name = sl_str_of(name), .content = sl_str_of(target), .mode = 0120777});
}

static struct sl_str finish(struct package *p) {
    size_t offset = p->zip.len;
    sl_buf_str(&p->zip, sl_buf_view(&p->directory));
    sl_buf_put(&p->zip, "PK\5\6", 4);
    put32(&p->zip, 0); // disks
    put16(&p->zip, p->entries);
    put16(&p->zip, p->entries);
    put32(&p->zip, p->directory.len);
    put32(&p->zip, offset);
    put16(&p->zip, 0);
    assert_false(p->zip.failed || p->directory.failed);
    return sl_buf_view(&p->zip);
}

static int unpack_bytes(struct package *p, struct sl_str bytes, struct sl_unzip_limits limits, uint64_t *ret_bytes) {
    p->err = (struct sl_error){0};
    // Exactly these bytes in memory, so that a sanitizer sees a read past the end.
    char *copy = malloc(bytes.len ? bytes.len : 1);
    assert_non_null(copy);
    if (bytes.len) memcpy(copy, bytes.ptr, bytes.len);
    int result = sl_unzip(sl_str_n(copy, bytes.len), p->out, &limits, ret_bytes, &p->err);
    free(copy);
    return result;
}

static void unpacks(struct package *p) {
    if (unpack_bytes(p, finish(p), SL_UNZIP_LAMBDA, NULL)) fail_msg("%s", p->err.message);
}

static void refuses_with(struct package *p, struct sl_str bytes, const char *message) {
    if (!unpack_bytes(p, bytes, SL_UNZIP_LAMBDA, NULL)) fail_msg("unpacked %.*s", SL_FMT(p->suspect));
    assert_int_equal(p->err.kind, SL_E_INVALID_PARAMETER);
    assert_string_equal(p->err.message, message);
    // Nothing may have been written beside the directory, whatever was written in it.
    char path[100];
    snprintf(path, sizeof path, "%s/escaped", p->base->path);
    assert_int_equal(access(path, F_OK), -1);
}

// One bad entry, alone in a package.
static void refuses_entry(struct package *p, struct entry entry) {
    sl_buf_clear(&p->zip, SIZE_MAX);
    sl_buf_clear(&p->directory, SIZE_MAX);
    p->entries = 0;
    add(p, entry);
    p->suspect = sl_str_sub(entry.name, 0, 100);
    refuses_with(p, finish(p), unusable);
}

static mode_t mode_of(struct package *p, const char *name) {
    struct stat info;
    if (fstatat(p->out, name, &info, AT_SYMLINK_NOFOLLOW)) return 0;
    return info.st_mode;
}

// --- what is unpacked ---

static void a_package_is_unpacked_with_folders_links_and_names_beyond_ascii(void **state) {
    struct package *p = *state;
    add_file(p, "app.py", "print(1)");
    add_file(p, "lib/deep/er/mod.py", "x = 1"); // folders without entries of their own
    add(p, (struct entry){.name = SL_STR("lib/"), .mode = 040755});
    add_file(p, "./dot//slash.txt", "ok");
    add_file(p, "gr\xc3\xbc\xc3\x9f\x65.txt", "hello");
    add_link(p, "node_modules/.bin/tool", "../tool/cli.js");
    add_link(p, "self", "lib");
    uint64_t bytes = 0;
    assert_int_equal(unpack_bytes(p, finish(p), SL_UNZIP_LAMBDA, &bytes), 0);
    assert_int_equal(bytes, 8 + 5 + 2 + 5);
    assert_int_equal(mode_of(p, "app.py"), 0100644);
    assert_int_equal(mode_of(p, "lib/deep/er/mod.py"), 0100644);
    assert_int_equal(mode_of(p, "dot/slash.txt"), 0100644);
    assert_int_equal(mode_of(p, "gr\xc3\xbc\xc3\x9f\x65.txt"), 0100644);
    assert_int_equal(mode_of(p, "node_modules/.bin/tool") & S_IFMT, S_IFLNK);
    char content[20] = "";
    int fd = openat(p->out, "app.py", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, content, sizeof content), 8);
    close(fd);
    assert_string_equal(content, "print(1)");
}

static void a_package_from_windows_may_separate_with_backslashes(void **state) {
    struct package *p = *state;
    add_file(p, "lib\\mod.py", "x = 1");
    unpacks(p);
    assert_int_equal(mode_of(p, "lib/mod.py"), 0100644);
}

static void files_become_readable_for_all_and_keep_execute(void **state) {
    struct package *p = *state;
    add(p, (struct entry){.name = SL_STR("private"), .content = SL_STR("x"), .mode = 0100600});
    add(p, (struct entry){.name = SL_STR("bootstrap"), .content = SL_STR("x"), .mode = 0100700});
    add(p, (struct entry){.name = SL_STR("setuid"), .content = SL_STR("x"), .mode = 0106755});
    add(p, (struct entry){.name = SL_STR("none"), .content = SL_STR("x"), .mode = 0100000});
    add(p, (struct entry){.name = SL_STR("from-dos"), .content = SL_STR("x")});
    add(p, (struct entry){.name = SL_STR("d/"), .mode = 040700});
    mode_t mask = umask(077);
    unpacks(p);
    umask(mask);
    assert_int_equal(mode_of(p, "private"), 0100644);
    assert_int_equal(mode_of(p, "bootstrap"), 0100755);
    assert_int_equal(mode_of(p, "setuid"), 0100755);
    assert_int_equal(mode_of(p, "none"), 0100644);
    assert_int_equal(mode_of(p, "from-dos") & 0444, 0444);
    assert_int_equal(mode_of(p, "d"), 040755);
}

// --- what is refused ---

static void names_that_lead_out_are_refused(void **state) {
    struct package *p = *state;
    static const char *const names[] = {"../escaped",  "a/../../escaped",    "/tmp/escaped", "a/..",  "..",
                                        "..\\escaped", "a\\..\\..\\escaped", "\\escaped",    "a/b\\c"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        refuses_entry(p, (struct entry){.name = sl_str_of(names[i]), .content = SL_STR("x"), .mode = 0100644});
    }
}

static void names_that_no_file_can_have_are_refused(void **state) {
    struct package *p = *state;
    static char name[5000];
    memset(name, 'n', sizeof name);
    refuses_entry(p, (struct entry){.name = sl_str_n(name, 256), .mode = 0100644});
    for (size_t i = 1; i < sizeof name; i += 2) name[i] = '/';
    refuses_entry(p, (struct entry){.name = sl_str_n(name, 4999), .mode = 0100644});
    refuses_entry(p, (struct entry){.name = sl_str_n(name, 65 * 2 - 1), .mode = 0100644});
    refuses_entry(p, (struct entry){.name = SL_STR(""), .mode = 0100644});
}

static void links_that_lead_out_are_refused(void **state) {
    struct package *p = *state;
    static const char *const pairs[][2] = {
        {"l", "/etc/passwd"},     {"l", "../escaped"}, {"a/l", "../../escaped"}, {"l", ".."}, {"a/b/l", "x/../.."},
        {"l", "a/../../escaped"}, {"l", ""},           {"a/l", "./.././../x"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        refuses_entry(
            p, (struct entry){.name = sl_str_of(pairs[i][0]), .content = sl_str_of(pairs[i][1]), .mode = 0120777});
    }
}

static void nothing_is_written_through_a_link(void **state) {
    struct package *p = *state;
    add_file(p, "real/file", "x");
    add_link(p, "link", "real");
    add_file(p, "link/through", "x");
    refuses_with(p, finish(p), unusable);
    assert_int_equal(mode_of(p, "real/through"), 0);
}

static void a_name_may_be_taken_once(void **state) {
    struct package *p = *state;
    add_file(p, "same", "one");
    add_file(p, "same", "two");
    refuses_with(p, finish(p), unusable);
}

static void a_file_over_a_folder_and_below_a_file_are_refused(void **state) {
    struct package *p = *state;
    add_file(p, "d/x", "x");
    add_file(p, "d", "x");
    refuses_with(p, finish(p), unusable);
    refuses_entry(p, (struct entry){.name = SL_STR("d/x/y"), .mode = 0100644}); // d/x is there from before
    refuses_entry(p, (struct entry){.name = SL_STR("d/x/"), .mode = 040755});
}

static void devices_and_encrypted_entries_are_refused(void **state) {
    struct package *p = *state;
    refuses_entry(p, (struct entry){.name = SL_STR("null"), .mode = 020666});
    refuses_entry(p, (struct entry){.name = SL_STR("disk"), .mode = 060666});
    refuses_entry(p, (struct entry){.name = SL_STR("socket"), .mode = 0140666});
    refuses_entry(
        p, (struct entry){.name = SL_STR("secret"), .content = SL_STR("123456789012345"), .mode = 0100644, .flags = 1});
}

static void a_broken_package_is_refused_wherever_it_is_cut(void **state) {
    struct package *p = *state;
    add_file(p, "first", "some content");
    add_file(p, "second", "and more of it");
    struct sl_str whole = finish(p);
    for (size_t length = 1; length < whole.len; length++) {
        refuses_with(p, sl_str_sub(whole, 0, length), unusable);
        unlinkat(p->out, "first", 0);
        unlinkat(p->out, "second", 0);
    }
    refuses_with(p, SL_STR("this is not a zip"), unusable);
    refuses_entry(p, (struct entry){.name = SL_STR("f"), .content = SL_STR("x"), .mode = 0100644, .crc_error = 1});
}

static void a_package_without_files_says_so(void **state) {
    struct package *p = *state;
    refuses_with(p, SL_STR(""), empty);
    refuses_with(p, finish(p), empty);
    sl_buf_clear(&p->zip, 0);
    add(p, (struct entry){.name = SL_STR("only-a-folder/"), .mode = 040755});
    refuses_with(p, finish(p), empty);
}

static void a_bomb_is_stopped_while_it_is_written(void **state) {
    struct package *p = *state;
    add(p, (struct entry){.name = SL_STR("zeros"), .zeros = 40000000, .mode = 0100644});
    struct sl_str bytes = finish(p);
    assert_true(bytes.len < 100000);
    struct sl_unzip_limits limits = {.max_bytes = 1000000, .max_entries = 10};
    assert_int_equal(unpack_bytes(p, bytes, limits, NULL), SL_E_INVALID_PARAMETER);
    assert_string_equal(p->err.message, "Unzipped size must be smaller than 1000000 bytes");
    struct stat info;
    assert_int_equal(fstatat(p->out, "zeros", &info, 0), 0);
    assert_true(info.st_size <= 1000000);
}

static void the_size_limit_counts_all_files(void **state) {
    struct package *p = *state;
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        add(p, (struct entry){.name = sl_str_of(name), .zeros = 1000, .mode = 0100644});
    }
    struct sl_str bytes = finish(p);
    uint64_t size = 0;
    struct sl_unzip_limits limits = {.max_bytes = 5000, .max_entries = 5};
    assert_int_equal(unpack_bytes(p, bytes, limits, &size), SL_E_INVALID_PARAMETER); // "smaller than"
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        unlinkat(p->out, name, 0);
    }
    limits.max_bytes = 5001;
    assert_int_equal(unpack_bytes(p, bytes, limits, &size), 0);
    assert_int_equal(size, 5000);
}

static void the_number_of_entries_is_bounded(void **state) {
    struct package *p = *state;
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%d/", i);
        add(p, (struct entry){.name = sl_str_of(name), .mode = 040755});
    }
    struct sl_unzip_limits limits = {.max_bytes = 5000, .max_entries = 5};
    assert_int_equal(unpack_bytes(p, finish(p), limits, NULL), SL_E_INVALID_PARAMETER);
}

// --- blobs ---

static void write_file(int dir, const char *name) {
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, name, strlen(name)), (ssize_t)strlen(name));
    close(fd);
}

static void adopt_folder_with(struct package *p, const char *hash, const char *file) {
    char name[64];
    int fd;
    assert_int_equal(sl_blob_scratch(p->store, name, &fd, &p->err), 0);
    write_file(fd, file);
    close(fd);
    if (sl_blob_adopt(p->store, name, sl_str_of(hash), &p->err)) fail_msg("%s", p->err.message);
}

static bool code_has(struct package *p, const char *hash, const char *file) {
    int fd;
    if (sl_blob_open_dir(p->store, sl_str_of(hash), &fd, &p->err)) return false;
    bool found = faccessat(fd, file, F_OK, 0) == 0;
    close(fd);
    return found;
}

static int scratch_count(struct package *p) {
    int fd = openat(p->base->dir, "blobs/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(fd);
    assert_non_null(dir);
    int count = 0;
    while (readdir(dir)) count++;
    closedir(dir);
    return count - 2; // without . and ..
}

static void adopted_code_is_found_by_its_hash(void **state) {
    struct package *p = *state;
    assert_false(sl_blob_has(p->store, SL_STR(HASH_A)));
    adopt_folder_with(p, HASH_A, "file");
    assert_true(sl_blob_has(p->store, SL_STR(HASH_A)));
    assert_true(code_has(p, HASH_A, "file"));
    int fd;
    assert_int_equal(sl_blob_open_dir(p->store, SL_STR(HASH_B), &fd, &p->err), SL_E_NOT_FOUND);
    assert_int_equal(scratch_count(p), 0);
}

static void code_that_is_already_there_stays(void **state) {
    struct package *p = *state;
    adopt_folder_with(p, HASH_A, "first");
    adopt_folder_with(p, HASH_A, "second");
    assert_true(code_has(p, HASH_A, "first"));
    assert_false(code_has(p, HASH_A, "second"));
    assert_int_equal(scratch_count(p), 0);
}

static void a_name_that_is_no_hash_is_refused(void **state) {
    struct package *p = *state;
    static const char *const names[] = {"", "..", "../../../../etc/passwd", HASH_A "a",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int fd;
        struct sl_str name = sl_str_of(names[i]);
        assert_false(sl_blob_has(p->store, name));
        assert_int_equal(sl_blob_open_dir(p->store, name, &fd, &p->err), SL_E_USAGE);
        assert_int_equal(sl_blob_open_bytes(p->store, name, &fd, &p->err), SL_E_USAGE);
        assert_int_equal(sl_blob_put_bytes(p->store, name, SL_STR("x"), &p->err), SL_E_USAGE);
    }
}

static void bytes_return_as_they_were_put(void **state) {
    struct package *p = *state;
    int fd;
    assert_int_equal(sl_blob_open_bytes(p->store, SL_STR(HASH_A), &fd, &p->err), SL_E_NOT_FOUND);
    assert_int_equal(sl_blob_put_bytes(p->store, SL_STR(HASH_A), SL_STR("PK..."), &p->err), 0);
    assert_int_equal(sl_blob_put_bytes(p->store, SL_STR(HASH_A), SL_STR("PK..."), &p->err), 0);
    assert_int_equal(sl_blob_open_bytes(p->store, SL_STR(HASH_A), &fd, &p->err), 0);
    char content[10] = "";
    assert_int_equal(read(fd, content, sizeof content), 5);
    close(fd);
    assert_string_equal(content, "PK...");
    assert_int_equal(scratch_count(p), 0);
}

static void a_large_tree_is_adopted_and_discarded_whole(void **state) {
    struct package *p = *state;
    for (int round = 0; round < 2; round++) {
        char name[64];
        int fd;
        assert_int_equal(sl_blob_scratch(p->store, name, &fd, &p->err), 0);
        for (int i = 0; i < 10; i++) {
            char folder[16];
            snprintf(folder, sizeof folder, "d%d", i);
            assert_int_equal(mkdirat(fd, folder, 0755), 0);
            int below = openat(fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            for (int k = 0; k < 20; k++) {
                char file[16];
                snprintf(file, sizeof file, "f%d", k);
                write_file(below, file);
            }
            assert_int_equal(symlinkat("/", below, "link"), 0);
            close(below);
        }
        close(fd);
        if (round == 0)
            assert_int_equal(sl_blob_adopt(p->store, name, SL_STR(HASH_A), &p->err), 0);
        else
            sl_blob_discard(p->store, name);
    }
    assert_true(code_has(p, HASH_A, "d9/f19"));
    assert_int_equal(scratch_count(p), 0);
}

static bool keep_a(void *user, struct sl_str hash) {
    (void)user;
    return sl_str_is(hash, HASH_A);
}

static void a_sweep_keeps_what_is_wanted_and_what_is_being_written(void **state) {
    struct package *p = *state;
    adopt_folder_with(p, HASH_A, "file");
    adopt_folder_with(p, HASH_B, "file");
    assert_int_equal(sl_blob_put_bytes(p->store, SL_STR(HASH_A), SL_STR("a"), &p->err), 0);
    assert_int_equal(sl_blob_put_bytes(p->store, SL_STR(HASH_B), SL_STR("b"), &p->err), 0);
    char mine[64];
    int fd;
    assert_int_equal(sl_blob_scratch(p->store, mine, &fd, &p->err), 0);
    close(fd);
    assert_int_equal(mkdirat(p->base->dir, "blobs/tmp/0123456789abcdef-crashed", 0755), 0);
    assert_int_equal(mkdirat(p->base->dir, "blobs/tmp/0123456789abcdef-crashed/d", 0755), 0);
    sl_blob_sweep(p->store, keep_a, NULL);
    assert_true(code_has(p, HASH_A, "file"));
    assert_false(sl_blob_has(p->store, SL_STR(HASH_B)));
    assert_int_equal(sl_blob_open_bytes(p->store, SL_STR(HASH_A), &fd, &p->err), 0);
    close(fd);
    assert_int_equal(sl_blob_open_bytes(p->store, SL_STR(HASH_B), &fd, &p->err), SL_E_NOT_FOUND);
    assert_int_equal(scratch_count(p), 1); // the one of this store
    assert_int_equal(sl_blob_adopt(p->store, mine, SL_STR(HASH_B), &p->err), 0);
}

static void folders_are_enterable_for_the_sandboxes_users(void **state) {
    struct package *p = *state;
    mode_t mask = umask(077);
    adopt_folder_with(p, HASH_A, "file");
    umask(mask);
    struct stat info;
    assert_int_equal(fstatat(p->base->dir, "blobs/code/" HASH_A, &info, 0), 0);
    assert_int_equal(info.st_mode & 0777, 0755);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_package, tear_down_package)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_package_is_unpacked_with_folders_links_and_names_beyond_ascii),
        TEST(a_package_from_windows_may_separate_with_backslashes),
        TEST(files_become_readable_for_all_and_keep_execute),
        TEST(names_that_lead_out_are_refused),
        TEST(names_that_no_file_can_have_are_refused),
        TEST(links_that_lead_out_are_refused),
        TEST(nothing_is_written_through_a_link),
        TEST(a_name_may_be_taken_once),
        TEST(a_file_over_a_folder_and_below_a_file_are_refused),
        TEST(devices_and_encrypted_entries_are_refused),
        TEST(a_broken_package_is_refused_wherever_it_is_cut),
        TEST(a_package_without_files_says_so),
        TEST(a_bomb_is_stopped_while_it_is_written),
        TEST(the_size_limit_counts_all_files),
        TEST(the_number_of_entries_is_bounded),
        TEST(adopted_code_is_found_by_its_hash),
        TEST(code_that_is_already_there_stays),
        TEST(a_name_that_is_no_hash_is_refused),
        TEST(bytes_return_as_they_were_put),
        TEST(a_large_tree_is_adopted_and_discarded_whole),
        TEST(a_sweep_keeps_what_is_wanted_and_what_is_being_written),
        TEST(folders_are_enterable_for_the_sandboxes_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
