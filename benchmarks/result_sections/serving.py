"""What the server holds."""

from result_sections.markdown import Results, commands, measured, number, paragraph, section, table

SERVING = "serving"


def serving(results: Results) -> str:
    """Requests a second by clients, the same answers, overload, SIGTERM."""
    result = results[SERVING]
    rows = (
        [
            f"{one['texts']:,}",
            f"{one['clients']:,}",
            number(one["requests_per_second"]),
            number(one["texts_per_second"]),
            number(one["p50_ms"]),
            number(one["p99_ms"]),
            f"{one['errors']:,}",
        ]
        for one in result["loads"]
    )
    same, over, term = result["same"], result["overload"], result["sigterm"]
    return section(
        "What the server holds",
        paragraph(
            "Clients ask `serve` on the same machine, whose cores they share with it, each as soon as it has its "
            f"answer. A text has {result['words_per_text']:.0f} words on average."
        ),
        commands("python benchmarks/serving.py --json"),
        table(["texts a request", "clients", "requests/s", "texts/s", "p50, ms", "p99, ms", "errors"], rows),
        paragraph(
            f"Of {same['answers']:,} answers, {same['labels_that_differ']} had another label than `predict` gives; the "
            f"largest difference of a probability was {same['largest_difference']:g}. Asked for "
            f"{over['asked_texts_per_second']:,} texts a second, twice the highest rate above, it answered "
            f"{over['answered']:,} of {over['sent']:,} requests and refused {over['refused_with_429']:,} with status "
            f"429, {over['refusals_that_say_when']:,} of them with `Retry-After`; {over['lost']} were lost. Afterwards "
            f"one client had its answers in {number(over['afterwards']['p50_ms'])} ms again. SIGTERM came when "
            f"{term['texts_waiting_when_it_was_told']:,} texts were waiting: {term['answered']} of the "
            f"{term['requests']} requests were answered, {term['lost']} lost."
        ),
        measured(SERVING, results=results),
    )
