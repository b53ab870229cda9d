"""The corpora rebuilt from public packages: log statements with their severity, code pairs.

`python -m models.training.harvest severity --out DIR` and `… codepairs --out DIR`; `compare`
holds a rebuilt severity corpus to a given one. The packages, their versions and their side of the
split are data: severity_packages.csv and code_packages.csv.
"""
