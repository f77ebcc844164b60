// SPDX-License-Identifier: Apache-2.0
//
// replay: runs a fuzz target over files, once each, without libFuzzer: `replay_<name> FILE|FOLDER...`. Used by the
// normal tests, so that every input in fuzz/corpus/<name>/ is tried by every compiler and sanitizer. Prints how many
// inputs ran; an empty or missing corpus is an error, because a test that tries nothing proves nothing.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 << 20 };

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    // Exactly as many bytes as the input has, so that a sanitizer sees a read past its end.
    struct stat status;
    int result = -1;
    uint8_t *bytes = NULL;
    if (fstat(fileno(file), &status) == 0 && status.st_size <= INPUT_MAX) {
        size_t size = (size_t)status.st_size;
        bytes = malloc(size ? size : 1);
        if (bytes && fread(bytes, 1, size, file) == size) result = LLVMFuzzerTestOneInput(bytes, size) == 0 ? 0 : -1;
    }
    if (result) fprintf(stderr, "replay: %s could not be run\n", path);
    free(bytes);
    fclose(file);
    return result;
}

// Returns the number of inputs that ran, or -1.
static int replay(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) {
        perror(path);
        return -1;
    }
    if (!S_ISDIR(status.st_mode)) return replay_file(path) == 0 ? 1 : -1;

    DIR *folder = opendir(path);
    if (!folder) {
        perror(path);
        return -1;
    }
    int count = 0;
    for (struct dirent *entry; count >= 0 && (entry = readdir(folder));) {
        char name[4096];
        if (entry->d_name[0] == '.') continue;
        if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >= (int)sizeof(name) || replay_file(name) != 0) {
            count = -1;
        } else {
            count++;
        }
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv) {
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = replay(argv[i]);
        if (count < 0) return 1;
        total += count;
    }
    if (total == 0) {
        fprintf(stderr, "replay: no inputs\n");
        return 1;
    }
    printf("%d inputs replayed\n", total);
    return 0;
}
