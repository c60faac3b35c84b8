#include "rpc/retry_budget.h"

#include <assert.h>

void cv_retry_budget_init(struct cv_retry_budget *b, unsigned tokens)
{
    assert(tokens <= 1000);
    *b = (struct cv_retry_budget){.tenths = tokens * 10, .tenths_max = tokens * 10};
}

bool cv_retry_budget_take(struct cv_retry_budget *b)
{
    if (b->tenths_max == 0)
        return true;
    if (b->tenths <= b->tenths_max / 2)
        return false;
    b->tenths = b->tenths > 10 ? b->tenths - 10 : 0;
    return true;
}

void cv_retry_budget_success(struct cv_retry_budget *b)
{
    if (b->tenths < b->tenths_max)
        b->tenths++;
}
