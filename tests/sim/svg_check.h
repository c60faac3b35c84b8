#ifndef TESTS_SIM_SVG_CHECK_H
#define TESTS_SIM_SVG_CHECK_H

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A document that was written into a temporary file. */
struct document {
    FILE *file;
    char text[1 << 20];
};

static inline void document_open(struct document *d)
{
    d->file = tmpfile();
    assert_non_null(d->file);
    d->text[0] = '\0';
}

static inline void document_close(struct document *d)
{
    rewind(d->file);
    size_t size = fread(d->text, 1, sizeof(d->text) - 1, d->file);
    d->text[size] = '\0';
    assert_true(size < sizeof(d->text) - 1);
    assert_int_equal(fclose(d->file), 0);
}

static inline size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *found = text; (found = strstr(found, part)) != NULL; found++)
        count++;
    return count;
}

/* Behind one tag, which begins at `c`; its name is pushed onto or popped from the stack of open
 * ones. */
static inline const char *check_tag(const char *c, char (*open)[16], size_t *depth)
{
    char name[16] = "";
    size_t size = 0;
    bool is_end = c[1] == '/';
    c += is_end ? 2 : 1;
    while (isalpha((unsigned char)*c) && size + 1 < sizeof(name))
        name[size++] = *c++;
    assert_true(size > 0);
    for (bool is_quoted = false; is_quoted || (*c != '>' && *c != '/'); c++) {
        assert_true(*c != '\0' && *c != '<' && *c != '&');
        is_quoted ^= *c == '"';
    }
    if (is_end) {
        assert_true(*depth > 0 && strcmp(open[*depth - 1], name) == 0 && *c == '>');
        --*depth;
    } else if (*c == '/') {
        c++;
    } else {
        assert_true(*depth < 16);
        memcpy(open[*depth], name, sizeof(name));
        ++*depth;
    }
    assert_int_equal(*c, '>');
    return c + 1;
}

/* Well-formed, with one root, and no number that is none. */
static inline void assert_svg(const char *text)
{
    char open[16][16];
    size_t depth = 0;
    assert_int_equal(strncmp(text, "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 40), 0);
    for (const char *c = text; *c != '\0';) {
        if (*c == '<') {
            c = check_tag(c, open, &depth);
            continue;
        }
        assert_true(depth > 0 || *c == '\n');
        assert_true(*c != '&' || strncmp(c, "&amp;", 5) == 0 || strncmp(c, "&lt;", 4) == 0 ||
                    strncmp(c, "&gt;", 4) == 0);
        c++;
    }
    assert_int_equal(depth, 0);
    assert_int_equal(count_of(text, "<svg"), 1);
    assert_int_equal(count_of(text, "nan") + count_of(text, "inf"), 0);
}

#endif
