"""Raw data set -> HDF5 store -> batches of :class:`~t2igan.data.batch.CaptionedImages`."""
