"""Create a virtual environment: python3 scripts/make_venv.py .venv

Runs under any Python, because it has to say which one is needed.
"""

import sys

NEEDED = (3, 11)


def main(directory):
    if sys.version_info < NEEDED:
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit("rlm_magic needs Python 3.11 or later, this is {}: name one (make PYTHON=python3.12)".format(found))
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        sys.exit("this Python has no venv module: on Debian and Ubuntu, install the package python3-venv")
    venv.create(directory, with_pip=True, symlinks=True)


if __name__ == "__main__":
    main(sys.argv[1])
