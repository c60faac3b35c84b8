#include "commands.h"
#include "files.h"
#include "options.h"
#include "remote.h"
#include "report.h"
#include "values.h"

#include <covey/stream.h>
#include <stdlib.h>
#include <string.h>

/* Exit status of a call that ended with a status other than OK. */
#define EXIT_STATUS_BASE 64
/* The largest message of covey. */
#define DATA_SIZE_MAX ((size_t)4 << 20)

/* The request: a text, a file or what comes on stdin. In memory for free(). */
static bool read_data(const char *command, const char *text, char **data, size_t *size)
{
    if (strcmp(text, "-") == 0)
        return read_stream(command, stdin, "stdin", DATA_SIZE_MAX, data, size);
    if (text[0] == '@')
        return read_file(command, text + 1, DATA_SIZE_MAX, data, size);
    *data = strdup(text);
    *size = strlen(text);
    if (*data == NULL)
        report(command, "%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    return *data != NULL;
}

static int show_status(enum covey_status_code code, const char *message)
{
    fprintf(stderr, "%s: ", covey_status_name(code));
    for (const char *c = message; *c != '\0'; c++)
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c, stderr);
    fputc('\n', stderr);
    return EXIT_STATUS_BASE + (int)code;
}

/* The messages of an answer: the first is kept, others only show that the method is no unary one. */
struct answer {
    void *data; /* for free() */
    size_t size;
    unsigned count;
};

/* Until the end, or a second message. 0 or COVEY_ERR_NO_MEMORY. */
static int receive(covey_stream *stream, struct answer *answer)
{
    const void *message;
    size_t size;

    while (answer->count < 2 && covey_stream_receive(stream, COVEY_NEVER, &message, &size) == 0) {
        if (answer->count++ > 0)
            break;
        answer->data = malloc(size > 0 ? size : 1);
        if (answer->data == NULL)
            return COVEY_ERR_NO_MEMORY;
        memcpy(answer->data, message, size);
        answer->size = size;
    }
    return 0;
}

static int show_answer(covey_stream *stream, const char *method, const struct answer *answer)
{
    const char *message = "";
    char text[512];
    const enum covey_status_code code = covey_stream_status(stream, &message);

    if (answer->count < 2 && code != COVEY_STATUS_OK)
        return show_status(code, message);
    if (answer->count != 1) {
        snprintf(text, sizeof text,
                 "'%s' is no unary method, it answers with %s: this command takes one", method,
                 answer->count == 0 ? "no message" : "more than one message");
        return show_status(COVEY_STATUS_UNIMPLEMENTED, text);
    }
    if (answer->size > 0)
        fwrite(answer->data, 1, answer->size, stdout);
    return EXIT_SUCCESS;
}

/* As a stream, which sees how many messages come, where a unary call would only fail. */
static int call(const char *command, covey_client *client, const char *method, const char *data,
                size_t size, const covey_time *deadline)
{
    struct covey_call_options options;
    struct answer answer = {0};
    covey_stream *stream;

    covey_call_options_init(&options);
    if (deadline != NULL)
        options.timeout = *deadline;
    int error = covey_client_stream(client, method, data, size, &options, &stream);
    if (error == COVEY_ERR_INVALID_ARGUMENT)
        return report(command, "'%s' is no name for a method", method);
    if (error != 0)
        return report(command, "%s", covey_strerror(error));
    error = receive(stream, &answer);
    const int status = error != 0 ? report(command, "%s", covey_strerror(error))
                                  : show_answer(stream, method, &answer);
    free(answer.data);
    covey_stream_free(stream);
    return status;
}

int command_call(int argc, char **argv)
{
    const char *tls = NULL;
    const char *address = NULL;
    const char *data_text = NULL;
    const char *deadline_text = NULL;
    const struct option_spec specs[] = {
        REMOTE_OPTION_TLS(&tls),
        REMOTE_OPTION_ADDR(&address),
        {.name = "data",
         .argument = "DATA",
         .text = &data_text,
         .help = "the request: a text, @FILE, or - for stdin; empty if not given"},
        {.name = "deadline",
         .argument = "TIME",
         .text = &deadline_text,
         .help = "how long to wait, as in 2s or 500ms; 30s"},
    };
    const struct option_table table = {
        .command = "call",
        .operands = "METHOD",
        .summary = "Calls a unary method and writes the reply to stdout. Ends with 0, or with 64 "
                   "+ the\nstatus code and \"CODE: message\" on stderr.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };
    char **operands;
    size_t operand_count;
    covey_time deadline;
    struct remote remote;
    char *data;
    size_t size;
    int status = EXIT_FAILURE;

    const enum options_result result = options_parse(&table, argc, argv, &operands, &operand_count);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    if (operand_count != 1)
        return report_wrong_use(table.command, "exactly one METHOD is needed");
    if (deadline_text != NULL && !parse_duration(deadline_text, &deadline))
        return report_wrong_use(table.command, "--deadline is a time like 2s or 500ms, not '%s'",
                                deadline_text);
    if (!read_data(table.command, data_text != NULL ? data_text : "", &data, &size))
        return EXIT_FAILURE;
    if (remote_open(&remote, table.command, tls, address)) {
        status = call(table.command, remote.client, operands[0], data, size,
                      deadline_text != NULL ? &deadline : NULL);
        remote_close(&remote);
    }
    free(data);
    return status;
}
