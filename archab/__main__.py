"""python -m archab +space=NAME [key=value …]."""

from archab.cli.run import main

if __name__ == "__main__":
    main()
