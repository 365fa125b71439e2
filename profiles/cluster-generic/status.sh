#!/bin/sh
# What became of a job of Slurm, as Snakemake wants it: running, success or failed.
# Asks the controller, which forgets a job some minutes after its end, then accounting, where there is some. A job that
# neither knows counts as failed and is submitted again. When nobody answers, the job counts as running: it is asked for again.
answer=$(squeue --noheader --states=all --format=%T --jobs="$1" 2>&1)
case $answer in
*"Invalid job id"* | "")
    answer=$(sacct --allocations --noheader --parsable2 --format=State --jobs="$1" 2> /dev/null)
    answer=${answer:-FAILED}
    ;;
esac
case $answer in
COMPLETED) echo success ;;
BOOT_FAIL | CANCELLED* | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT) echo failed ;;
*) echo running ;;
esac
