"""xarray: predictions as datasets with named axes."""

import numpy as np

from socialmd_tf.export.formats.libraries import import_library


def dataset(arrays, coordinates, units, attributes):
    """An `xarray.Dataset` in the units of the data.

    Args:
        arrays: Name -> names of its axes and values.
        coordinates: Axis -> values.
        units: Name of an array or axis -> its unit, or None.
        attributes: Name -> value, for the whole data set; None is left out.

    Returns:
        The data set; units are the attribute `units` of each array and axis.

    Raises:
        UserError: xarray is not installed.
    """
    xarray = import_library("xarray", "to_xarray()")
    stated = {name: {"units": unit} for name, unit in units.items() if unit is not None}
    return xarray.Dataset(
        {name: (axes, np.asarray(values), stated.get(name, {})) for name, (axes, values) in arrays.items()},
        coords={name: (axes, values, stated.get(name, {})) for name, (axes, values) in coordinates.items()},
        attrs={name: value for name, value in attributes.items() if value is not None},
    )
