#include "svg.h"

#include <assert.h>
#include <math.h>

static void put_escaped(FILE *file, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '&')
            fputs("&amp;", file);
        else if (byte == '<')
            fputs("&lt;", file);
        else if (byte == '>')
            fputs("&gt;", file);
        else if (byte < 0x20 || byte >= 0x7f)
            fputc('?', file);
        else
            fputc(byte, file);
    }
}

void svg_begin(FILE *file, int width, int height, const char *title)
{
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"" SVG_GREY
            "\">\n<title>",
            width, height, width, height);
    put_escaped(file, title);
    fputs("</title>\n", file);
    fputs("<g font-size=\"15\">\n", file);
    svg_text(file, 12, 22, SVG_START, title);
    fputs("</g>\n", file);
}

void svg_end(FILE *file)
{
    fputs("</svg>\n", file);
}

void svg_text(FILE *file, double x, double y, enum svg_anchor anchor, const char *text)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchors[anchor]);
    put_escaped(file, text);
    fputs("</text>\n", file);
}

void svg_text_upwards(FILE *file, double x, double y, const char *text)
{
    fprintf(
        file,
        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" transform=\"rotate(-90 %.1f %.1f)\">",
        x, y, x, y);
    put_escaped(file, text);
    fputs("</text>\n", file);
}

void svg_rect(FILE *file, double x, double y, double width, double height, const char *fill)
{
    fprintf(file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x,
            y, width, height, fill);
}

void svg_line(FILE *file, double x1, double y1, double x2, double y2, const char *stroke,
              const char *style)
{
    fprintf(file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"%s%s/>\n", x1,
            y1, x2, y2, stroke, *style == '\0' ? "" : " ", style);
}

double svg_step(double range, int count)
{
    assert(range > 0 && count > 0);
    double least = range / count;
    double power = pow(10, floor(log10(least)));
    static const double factors[] = {1, 2, 5};
    for (int i = 0; i < 3; i++) {
        /* A hair of tolerance: 0.2 is not always 2 * 0.1. */
        if (factors[i] * power >= least * (1 - 1e-9))
            return factors[i] * power;
    }
    return 10 * power;
}
