"""By which exported symbols the well-known runtimes are told, and what several copies of one do to each other: kept by hand.

Names are as C spells them. A variant is there when any of its `any` names is exported, and all of `all`, and none of `none`. The names
were looked up in published builds: llvm-openmp, intel-openmp, libgomp, vcomp140, OpenBLAS as NumPy and SciPy ship it, MKL, BLIS, libstdc++,
libc++, OpenSSL, HDF5, Qt 5 and 6 with and without a namespace, protobuf, SQLite, GEOS, PROJ, GDAL, the CUDA runtime, Arrow.
"""

from typing import Any

OPENBLAS = "openblas_get_config scipy_openblas_get_config openblas_get_config64_ scipy_openblas_get_config64_ openblas_get_config_64"

FAMILIES: dict[str, dict[str, dict[str, str]]] = {
    "OpenMP": {
        "LLVM's or Intel's": {"any": "__kmpc_fork_call", "all": "omp_get_max_threads"},
        "GNU's": {"any": "GOMP_parallel GOMP_parallel_start", "all": "omp_get_max_threads", "none": "__kmpc_fork_call"},
        "Microsoft's": {"any": "_vcomp_fork", "none": "__kmpc_fork_call"},
    },
    "BLAS": {
        "OpenBLAS": {"any": OPENBLAS},
        "MKL": {"any": "MKL_Get_Version mkl_get_version MKL_Get_Version_String"},
        "BLIS": {"any": "bli_info_get_version_str"},
    },
    "the C++ runtime": {
        "GNU's": {"any": "_ZNSt8ios_base4InitC1Ev"},
        "LLVM's": {"any": "_ZNSt3__18ios_base4InitC1Ev"},
    },
    "OpenSSL": {"": {"any": "OpenSSL_version SSLeay_version"}},
    "HDF5": {"": {"any": "H5open"}},
    "Qt": {"": {"any": "qVersion _ZN14QtOpenCVPython8qVersionEv"}},
    "protobuf": {"": {"any": "_ZN6google8protobuf14DescriptorPool14generated_poolEv"}},
    "SQLite": {"": {"any": "sqlite3_libversion"}},
    "GEOS": {"": {"any": "GEOSversion"}},
    "PROJ": {"": {"any": "proj_context_create internal_proj_context_create"}},
    "GDAL": {"": {"any": "GDALVersionInfo"}},
    "the CUDA runtime": {"": {"any": "cudaRuntimeGetVersion"}},
    "Arrow": {"": {"any": "_ZN5arrow12GetBuildInfoEv"}},
}

APART = {
    "Qt": ("warning", "they read the same environment variables, so that one takes the other's plug-ins"),
    "HDF5": ("note", "a file must not be open in both at once"),
    "SQLite": ("note", "a database must not be open in both at once: closing it in one drops the locks of the other"),
    "PROJ": ("note", "PROJ_DATA, once set for one, leads the other to a database of another version"),
    "GDAL": ("note", "GDAL_DATA and GDAL_DRIVER_PATH, once set for one, count for the other"),
}
"""What several copies do to each other even where no symbol of one reaches the other."""

TOOLKITS = {
    "libcudart.so.11.0 libcublas.so.11 libcublasLt.so.11 libnvrtc.so.11.2 libcufft.so.10 libcusparse.so.11"
    " cudart64_110.dll cublas64_11.dll cublasLt64_11.dll nvrtc64_112_0.dll cufft64_10.dll cusparse64_11.dll": 11,
    "libcudart.so.12 libcublas.so.12 libcublasLt.so.12 libnvrtc.so.12 libcufft.so.11 libnvJitLink.so.12"
    " cudart64_12.dll cublas64_12.dll cublasLt64_12.dll nvrtc64_120_0.dll cufft64_11.dll nvJitLink_120_0.dll": 12,
    "libcudart.so.13 libcublas.so.13 libcublasLt.so.13 libnvrtc.so.13 libcufft.so.12 libcusolver.so.12 libnvJitLink.so.13"
    " cudart64_13.dll cublas64_13.dll cublasLt64_13.dll nvrtc64_130_0.dll cufft64_12.dll cusolver64_12.dll nvJitLink_130_0.dll": 13,
}
"""Libraries whose names tell the major version of the CUDA toolkit; libcusolver.so.11 and libcusparse.so.12 belong to two."""


def facts() -> dict[str, dict[str, Any]]:
    """Return the table by its file, relative to the repository, without its date."""
    return {
        "src/relocator/knowledge/families.json": {
            "source": "exports of the runtimes' published builds, collected by hand",
            "families": {name: {variant: _split(tests) for variant, tests in some.items()} for name, some in FAMILIES.items()},
            "apart": {name: {"severity": severity, "reason": reason} for name, (severity, reason) in APART.items()},
            "toolkits": {name.casefold(): major for names, major in TOOLKITS.items() for name in names.split()},
        }
    }


def _split(tests: dict[str, str]) -> dict[str, list[str]]:
    return {key: names.split() for key, names in tests.items()}
