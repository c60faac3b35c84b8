#include "options.h"

#include "report.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define SPECS_MAX 15

static void print_usage(const struct option_table *table)
{
    printf("usage: covey %s", table->command);
    if (table->operands != NULL)
        printf(" %s", table->operands);
    for (size_t i = 0; i < table->spec_count; i++) {
        const struct option_spec *spec = &table->specs[i];
        printf(spec->required ? " --%s" : " [--%s", spec->name);
        if (spec->argument != NULL)
            printf(" %s", spec->argument);
        printf("%s%s", spec->required ? "" : "]", spec->list != NULL ? "..." : "");
    }
    printf("\n\n%s\n\n", table->summary);
    for (size_t i = 0; i < table->spec_count; i++) {
        const struct option_spec *spec = &table->specs[i];
        char left[48];
        snprintf(left, sizeof left, "--%s %s", spec->name, spec->argument ? spec->argument : "");
        printf("  %-26s %s\n", left, spec->help);
    }
    printf("  %-26s %s\n", "--help", "shows this");
}

/* Puts one option's value where it belongs. Returns whether it could. */
static bool take(const struct option_table *table, const struct option_spec *spec,
                 const char *value)
{
    if (spec->flag != NULL) {
        *spec->flag = true;
        return true;
    }
    if (spec->text != NULL) {
        if (*spec->text != NULL) {
            report_wrong_use(table->command, "--%s is given twice", spec->name);
            return false;
        }
        *spec->text = value;
        return true;
    }
    if (spec->list->count == OPTION_LIST_MAX) {
        report_wrong_use(table->command, "--%s is given more than %d times", spec->name,
                         OPTION_LIST_MAX);
        return false;
    }
    spec->list->items[spec->list->count++] = value;
    return true;
}

static bool is_given(const struct option_spec *spec)
{
    if (spec->flag != NULL)
        return *spec->flag;
    if (spec->text != NULL)
        return *spec->text != NULL;
    return spec->list->count > 0;
}

static enum options_result check_required(const struct option_table *table)
{
    for (size_t i = 0; i < table->spec_count; i++) {
        if (table->specs[i].required && !is_given(&table->specs[i])) {
            report_wrong_use(table->command, "--%s is missing", table->specs[i].name);
            return OPTIONS_WRONG;
        }
    }
    return OPTIONS_GO_ON;
}

static enum options_result read_options(const struct option_table *table,
                                        const struct option *options, int argc, char **argv)
{
    const int help = (int)table->spec_count;
    int index;

    optind = 1;
    opterr = 0;
    for (;;) {
        const int found = getopt_long(argc, argv, ":", options, &index);
        if (found == -1)
            return OPTIONS_GO_ON;
        if (found == ':') {
            report_wrong_use(table->command, "%s needs a value", argv[optind - 1]);
            return OPTIONS_WRONG;
        }
        if (found == '?') {
            report_wrong_use(table->command, "unknown option %s", argv[optind - 1]);
            return OPTIONS_WRONG;
        }
        if (index == help) {
            print_usage(table);
            return OPTIONS_HELP_SHOWN;
        }
        if (!take(table, &table->specs[index], optarg))
            return OPTIONS_WRONG;
    }
}

enum options_result options_parse(const struct option_table *table, int argc, char **argv,
                                  char ***operands, size_t *operand_count)
{
    struct option options[SPECS_MAX + 2] = {{0}};

    assert(table->spec_count <= SPECS_MAX);
    for (size_t i = 0; i < table->spec_count; i++) {
        const struct option_spec *spec = &table->specs[i];
        assert((spec->flag != NULL) + (spec->text != NULL) + (spec->list != NULL) == 1);
        options[i] = (struct option){.name = spec->name,
                                     .has_arg = spec->flag ? no_argument : required_argument};
    }
    options[table->spec_count] = (struct option){.name = "help", .has_arg = no_argument};

    const enum options_result result = read_options(table, options, argc, argv);
    if (result != OPTIONS_GO_ON)
        return result;
    if (operands != NULL) {
        *operands = argv + optind;
        *operand_count = (size_t)(argc - optind);
    } else if (optind < argc) {
        report_wrong_use(table->command, "unexpected argument '%s'", argv[optind]);
        return OPTIONS_WRONG;
    }
    return check_required(table);
}

int options_exit_status(enum options_result result)
{
    return result == OPTIONS_HELP_SHOWN ? EXIT_SUCCESS : EXIT_WRONG_USE;
}
