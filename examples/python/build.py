"""Makes wheels/tables-1.0-py3-none-any.whl, as `pip wheel` would: python3 build.py"""
import os
import zipfile

LIBRARY = '''def write_totals(path, totals):
    with open(path, "w") as f:
        f.writelines(f"{name},{total}\\n" for name, total in sorted(totals.items()))
'''
INFO = "tables-1.0.dist-info/"
FILES = {
    "tables/__init__.py": LIBRARY,
    INFO + "METADATA": "Metadata-Version: 2.1\nName: tables\nVersion: 1.0\n",
    INFO + "WHEEL": "Wheel-Version: 1.0\nGenerator: example\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
FILES[INFO + "RECORD"] = "".join(f"{name},,\n" for name in [*FILES, INFO + "RECORD"])

os.makedirs("wheels", exist_ok=True)
with zipfile.ZipFile("wheels/tables-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in FILES.items():
        wheel.writestr(name, text)
