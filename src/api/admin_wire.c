#include "api/admin_wire.h"

#include "base/reader.h"
#include "cluster/tags.h"

#include <covey/error.h>

void cv_admin_tag_set_write(struct cv_writer *w, const char *key, const char *value)
{
    cv_write_prefixed(w, cv_slice_text(key));
    cv_write_prefixed(w, cv_slice_text(value));
}

void cv_admin_tag_remove_write(struct cv_writer *w, const char *key)
{
    cv_write_prefixed(w, cv_slice_text(key));
}

static void copy_text(char *to, struct cv_slice text)
{
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    to[text.size] = '\0';
}

/* Checks what was read to the end of the request and hands it out. */
static int give(const struct cv_reader *r, struct cv_slice key, struct cv_slice value,
                struct cv_admin_tag *tag)
{
    if (!cv_reader_done(r) || cv_tag_check(key, value) != 0)
        return COVEY_ERR_MALFORMED;
    copy_text(tag->key, key);
    copy_text(tag->value, value);
    return 0;
}

int cv_admin_tag_set_read(struct cv_slice request, struct cv_admin_tag *tag)
{
    struct cv_reader r;
    cv_reader_init(&r, request);
    struct cv_slice key = cv_read_prefixed(&r, COVEY_TAG_KEY_MAX);
    struct cv_slice value = cv_read_prefixed(&r, COVEY_TAG_VALUE_MAX);
    return give(&r, key, value, tag);
}

int cv_admin_tag_remove_read(struct cv_slice request, struct cv_admin_tag *tag)
{
    struct cv_reader r;
    cv_reader_init(&r, request);
    struct cv_slice key = cv_read_prefixed(&r, COVEY_TAG_KEY_MAX);
    return give(&r, key, (struct cv_slice){NULL, 0}, tag);
}
