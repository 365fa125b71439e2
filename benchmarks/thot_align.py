"""Align 'source ||| target' lines with the FastAlign model of sil-thot, forward, and write Pharaoh links."""

from __future__ import annotations

import sys

from thot.alignment import FastAlignModel


def main() -> None:
    model = FastAlignModel()
    model.variational_bayes = True
    pairs = []
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            source, target = (side.split() for side in line.rstrip("\n").split(" ||| "))
            pairs.append((source, target))
            model.add_sentence_pair(source, target, 1)
    length = model.start_training()
    for _ in range(5):
        model.train()
    model.end_training()
    for source, target in pairs[:length]:
        _, matrix = model.get_best_alignment(source, target)
        print(" ".join(f"{i}-{j}" for i in range(len(source)) for j in range(len(target)) if matrix[i, j]))


if __name__ == "__main__":
    main()
