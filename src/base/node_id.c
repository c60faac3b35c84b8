#include <covey/types.h>
#include <string.h>

char *covey_node_id_text(const covey_node_id *id, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < COVEY_NODE_ID_SIZE; i++) {
        text[2 * i] = digits[id->bytes[i] >> 4];
        text[2 * i + 1] = digits[id->bytes[i] & 0xf];
    }
    text[2 * COVEY_NODE_ID_SIZE] = '\0';
    return text;
}

int covey_node_id_compare(const covey_node_id *a, const covey_node_id *b)
{
    return memcmp(a->bytes, b->bytes, COVEY_NODE_ID_SIZE);
}
