// SPDX-License-Identifier: MIT
// /proc/counter: reading it gives how often it was written since the module was loaded, and `start` on top of that.
#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static int start;
module_param(start, int, 0444);

static atomic_t writes = ATOMIC_INIT(0);

static int counter_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "%d\n", start + atomic_read(&writes));
	return 0;
}

static int counter_open(struct inode *inode, struct file *file)
{
	return single_open(file, counter_show, NULL);
}

static ssize_t counter_write(struct file *file, const char __user *bytes, size_t count, loff_t *offset)
{
	atomic_inc(&writes);
	return count;
}

static const struct proc_ops counter_ops = {
	.proc_open = counter_open,
	.proc_read = seq_read,
	.proc_write = counter_write,
	.proc_release = single_release,
};

static int __init counter_init(void)
{
	if (start < 0)
		return -EINVAL;
	return proc_create("counter", 0644, NULL, &counter_ops) ? 0 : -ENOMEM;
}

static void __exit counter_exit(void)
{
	remove_proc_entry("counter", NULL);
}

module_init(counter_init);
module_exit(counter_exit);
MODULE_LICENSE("Dual MIT/GPL");
