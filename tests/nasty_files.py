"""Files that a hasty reader gets wrong: every way in and out must make the same rows of them."""

NASTY = {
    "quotes.tsv": 'id\ttext\n1\t"Fine," she said\n2\tDull\n3\t"Never\n',
    "breaks.csv": 'id,text\n1,"Fine,\nreally"\n2,""\n3,"  "\n4,"""no"""\n',
    "marked.csv": "\ufeffid;text\r\n1;café, noir\r\n2;\r\n",
    "names.csv": "id,text,prediction,id\n1,Fine,x,2\n2,,y,3\n",
    "lines.jsonl": '{"id": 1, "text": "Fine"}\n{"id": 2, "text": null, "late": "x"}\n',
}

# Parquet, Ray and Spark hold no two columns of one name.
WITH_UNIQUE_NAMES = [name for name in NASTY if name != "names.csv"]
