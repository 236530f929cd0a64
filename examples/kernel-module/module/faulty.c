// SPDX-License-Identifier: MIT
// A module with a defect: it writes through a null pointer as soon as it is loaded.
#include <linux/module.h>

static noinline void faulty_store(volatile int *place)
{
	*place = 1;
}

static int __init faulty_init(void)
{
	faulty_store(NULL);
	return 0;
}

module_init(faulty_init);
MODULE_LICENSE("Dual MIT/GPL");
