#ifndef SIM_SVG_H
#define SIM_SVG_H

#include <covey/export.h>
#include <stdio.h>

/*
 * The few parts of SVG that the pictures are made of. No ground is painted: the grey of texts and
 * lines has a contrast of 4.5 against white and against black. The locale must be "C", as it is
 * unless a program changes it: numbers have points.
 */

#define SVG_GREY    "#767676"
#define SVG_ALIVE   "#3c9d6e"
#define SVG_SUSPECT "#e0a100"
#define SVG_FAILED  "#d5443a"
#define SVG_LEFT    "#7d7fc4"
#define SVG_PAUSED  "#2f7fd0"

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

/* The head, with the title as a text at the top and for those who cannot see. */
void svg_begin(FILE *file, int width, int height, const char *title);
void svg_end(FILE *file);
/* What XML does not allow in a text is escaped, or becomes '?'. */
void svg_text(FILE *file, double x, double y, enum svg_anchor anchor, const char *text);
/* The same, upwards. */
void svg_text_upwards(FILE *file, double x, double y, const char *text);
void svg_rect(FILE *file, double x, double y, double width, double height, const char *fill);
/* `style` are further attributes, "" for none. */
void svg_line(FILE *file, double x1, double y1, double x2, double y2, const char *stroke,
              const char *style);

/* The least of 1, 2 and 5 times a power of ten that cuts `range` into at most `count` parts. */
double svg_step(double range, int count);

#endif
