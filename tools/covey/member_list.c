#include "member_list.h"

#include "event_json.h"

#include <inttypes.h>
#include <stdio.h>

#define COLUMN_COUNT 6
/* Every tag at its largest, each byte escaped. */
#define CELL_SIZE (4 * (COVEY_TAGS_SIZE_MAX + 2 * COVEY_TAGS_MAX) + 1)

struct row {
    char cells[COLUMN_COUNT][CELL_SIZE];
};

struct cell_writer {
    char *text;
    size_t length;
};

static void write_visible(struct cell_writer *writer, const char *text)
{
    for (; *text != '\0' && writer->length + 5 < CELL_SIZE; text++) {
        const unsigned char byte = (unsigned char)*text;
        const char *format = byte < 0x20 || byte == 0x7f ? "\\x%02x" : "%c";
        writer->length += (size_t)sprintf(writer->text + writer->length, format, byte);
    }
}

static void write_cell(char *cell, const char *text)
{
    struct cell_writer writer = {.text = cell};

    cell[0] = '\0';
    write_visible(&writer, *text != '\0' ? text : "-");
}

static void write_tags(char *cell, const struct covey_node *node)
{
    struct cell_writer writer = {.text = cell};

    cell[0] = '\0';
    for (size_t i = 0; i < node->tag_count; i++) {
        write_visible(&writer, i > 0 ? "," : "");
        write_visible(&writer, node->tags[i].key);
        write_visible(&writer, "=");
        write_visible(&writer, node->tags[i].value);
    }
    if (node->tag_count == 0)
        write_visible(&writer, "-");
}

static void fill_header(struct row *row)
{
    static const char *const titles[COLUMN_COUNT] = {"NAME",        "STATE", "ADDRESS",
                                                     "INCARNATION", "ID",    "TAGS"};

    for (size_t i = 0; i < COLUMN_COUNT; i++)
        write_cell(row->cells[i], titles[i]);
}

static void fill_row(struct row *row, const struct covey_node *node)
{
    char id[COVEY_NODE_ID_TEXT_SIZE];
    char incarnation[24];

    snprintf(incarnation, sizeof incarnation, "%" PRIu64, node->incarnation);
    write_cell(row->cells[0], node->name);
    write_cell(row->cells[1], covey_node_state_name(node->state));
    write_cell(row->cells[2], node->address);
    write_cell(row->cells[3], incarnation);
    write_cell(row->cells[4], covey_node_id_text(&node->id, id));
    write_tags(row->cells[5], node);
}

/* How many columns of a terminal a UTF-8 text takes, one for each character. */
static int display_width(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void measure_row(const struct row *row, int *widths)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        const int width = display_width(row->cells[i]);
        if (width > widths[i])
            widths[i] = width;
    }
}

static void print_row(const struct row *row, const int *widths)
{
    for (size_t i = 0; i + 1 < COLUMN_COUNT; i++)
        printf("%s%*s", row->cells[i], widths[i] - display_width(row->cells[i]) + 2, "");
    printf("%s\n", row->cells[COLUMN_COUNT - 1]);
}

void print_member_table(const covey_node_list *list)
{
    const size_t count = covey_node_list_count(list);
    int widths[COLUMN_COUNT] = {0};
    struct row row;

    fill_header(&row);
    measure_row(&row, widths);
    for (size_t i = 0; i < count; i++) {
        fill_row(&row, covey_node_list_at(list, i));
        measure_row(&row, widths);
    }
    fill_header(&row);
    print_row(&row, widths);
    for (size_t i = 0; i < count; i++) {
        fill_row(&row, covey_node_list_at(list, i));
        print_row(&row, widths);
    }
}

bool print_member_json(const covey_node_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < covey_node_list_count(list) && array != NULL; i++) {
        if (json_array_append_new(array, node_to_json(covey_node_list_at(list, i))) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    if (array == NULL)
        return false;
    const int failed = json_dumpf(array, stdout, JSON_COMPACT);
    json_decref(array);
    putchar('\n');
    return failed == 0 || ferror(stdout);
}
