"""How often is a classifier right that has seen no label, only the names of its classes?

    python benchmarks/zero_labels.py sets [--names news sentences ...] [--rows 1000] [--json]

`sets` holds NAME-test.csv, columns text and label (`benchmarks/stand_ins.py` makes such); the names of the classes are
the labels as they stand in the file.
"""

import argparse
import json
from pathlib import Path

from conditions import conditions

from ulmfit_lib import read_table
from ulmfit_lib.pipeline.zero_labels import fit_by_names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--names", nargs="+", default=["imdb", "sentences", "tweets", "news", "questions", "kinds"])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--base", default="general-en-small")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = []
    for name in arguments.names:
        table = read_table(arguments.sets / f"{name}-test.csv", text="text", label="label")
        table = table.select(range(min(arguments.rows, len(table))))
        classifier = fit_by_names(table.texts, table.classes, base=arguments.base)
        numbers, said = table.class_numbers(), classifier.predict(table.texts)
        right = sum(one == label for one, label in zip(said, table.targets(), strict=True))
        commonest = max((numbers == number).mean() for number in range(len(table.classes)))
        found.append(
            {
                "set": name,
                "classes": len(table.classes),
                "rows": len(table),
                "by": classifier.training.last.by,
                "right": round(100 * right / len(table), 1),
                "chance": round(100 / len(table.classes), 1),
                "commonest": round(100 * float(commonest), 1),
            }
        )
        if not arguments.json:
            print(json.dumps(found[-1]))
    if arguments.json:
        print(json.dumps({"base": arguments.base, "results": found, **conditions()}))


if __name__ == "__main__":
    main()
