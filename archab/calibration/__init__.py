"""Whether verdicts are as often wrong as they promise: python -m archab.calibration."""
