"""Which distributions ship which shared libraries, and which libraries only the host can bring: lists kept by hand.

Names are base names of binaries in the distributions' releases; "*" stands for any text.
"""

from typing import Any

NVIDIA = {  # since CUDA 13 most names have no suffix any more
    "nvidia-cuda-runtime-cu11": "libcudart.so.11.0 cudart64_110.dll",
    "nvidia-cuda-runtime-cu12": "libcudart.so.12 cudart64_12.dll",
    "nvidia-cuda-runtime": "libcudart.so.13 cudart64_13.dll",
    "nvidia-cuda-nvrtc-cu11": "libnvrtc.so.11.2 nvrtc64_112_0.dll",
    "nvidia-cuda-nvrtc-cu12": "libnvrtc.so.12 nvrtc64_120_0.dll",
    "nvidia-cuda-nvrtc": "libnvrtc.so.13 nvrtc64_130_0.dll",
    "nvidia-cuda-cupti-cu11": "libcupti.so.11.* cupti64_2022.*.dll",
    "nvidia-cuda-cupti-cu12": "libcupti.so.12 libcheckpoint.so libnvperf_host.so libnvperf_target.so libpcsamplingutil.so"
    " cupti64_2025.*.dll",
    "nvidia-cuda-cupti": "libcupti.so.13 libcheckpoint.so libnvperf_host.so libnvperf_target.so libpcsamplingutil.so cupti64_2025.*.dll",
    "nvidia-cublas-cu11": "libcublas.so.11 libcublasLt.so.11 libnvblas.so.11 cublas64_11.dll cublasLt64_11.dll",
    "nvidia-cublas-cu12": "libcublas.so.12 libcublasLt.so.12 libnvblas.so.12 cublas64_12.dll cublasLt64_12.dll",
    "nvidia-cublas": "libcublas.so.13 libcublasLt.so.13 libnvblas.so.13 cublas64_13.dll cublasLt64_13.dll",
    "nvidia-cudnn-cu11": "libcudnn*.so.8 libcudnn*.so.9 cudnn*64_8.dll cudnn*64_9.dll",
    "nvidia-cudnn-cu12": "libcudnn*.so.8 libcudnn*.so.9 cudnn*64_8.dll cudnn*64_9.dll",
    "nvidia-cudnn-cu13": "libcudnn*.so.9 cudnn*64_9.dll",
    "nvidia-cufft-cu11": "libcufft.so.10 libcufftw.so.10 cufft64_10.dll cufftw64_10.dll",
    "nvidia-cufft-cu12": "libcufft.so.11 libcufftw.so.11 cufft64_11.dll cufftw64_11.dll",
    "nvidia-cufft": "libcufft.so.12 libcufftw.so.12 cufft64_12.dll cufftw64_12.dll",
    "nvidia-curand-cu11": "libcurand.so.10 curand64_10.dll",
    "nvidia-curand-cu12": "libcurand.so.10 curand64_10.dll",
    "nvidia-curand": "libcurand.so.10 curand64_10.dll",
    "nvidia-cusolver-cu11": "libcusolver.so.11 libcusolverMg.so.11 cusolver64_11.dll cusolverMg64_11.dll",
    "nvidia-cusolver-cu12": "libcusolver.so.11 libcusolverMg.so.11 cusolver64_11.dll cusolverMg64_11.dll",
    "nvidia-cusolver": "libcusolver.so.12 libcusolverMg.so.12 cusolver64_12.dll cusolverMg64_12.dll",
    "nvidia-cusparse-cu11": "libcusparse.so.11 cusparse64_11.dll",
    "nvidia-cusparse-cu12": "libcusparse.so.12 cusparse64_12.dll",
    "nvidia-cusparse": "libcusparse.so.12 cusparse64_12.dll",
    "nvidia-cusparselt-cu12": "libcusparseLt.so.0 cusparseLt.dll",
    "nvidia-cusparselt-cu13": "libcusparseLt.so.0 cusparseLt.dll",
    "nvidia-nccl-cu11": "libnccl.so.2",
    "nvidia-nccl-cu12": "libnccl.so.2",
    "nvidia-nccl-cu13": "libnccl.so.2",
    "nvidia-nvjitlink-cu12": "libnvJitLink.so.12 nvJitLink_120_0.dll",
    "nvidia-nvjitlink": "libnvJitLink.so.13 nvJitLink_130_0.dll",
    "nvidia-nvtx-cu11": "libnvToolsExt.so.1 nvToolsExt64_1.dll",
    "nvidia-nvtx-cu12": "libnvToolsExt.so.1 libnvtx3interop.so.1 nvToolsExt64_1.dll",
    "nvidia-nvtx": "libnvtx3interop.so.1",
    "nvidia-cufile-cu12": "libcufile.so.0 libcufile_rdma.so.1",
    "nvidia-cufile": "libcufile.so.0 libcufile_rdma.so.1",
    "nvidia-nvshmem-cu12": "libnvshmem_host.so.3",
    "nvidia-nvshmem-cu13": "libnvshmem_host.so.3",
    "nvidia-npp-cu11": "libnpp*.so.11",
    "nvidia-npp-cu12": "libnpp*.so.12",
    "nvidia-npp": "libnpp*.so.13",
    "nvidia-nvjpeg-cu11": "libnvjpeg.so.11",
    "nvidia-nvjpeg-cu12": "libnvjpeg.so.12",
    "nvidia-nvjpeg": "libnvjpeg.so.13",
}

OTHERS = {
    "torch": "libtorch*.so libtorch*.dylib libc10*.so libc10*.dylib libshm.so libshm.dylib libcaffe2_nvrtc.so libaoti_custom_ops.so"
    " torch*.dll c10*.dll shm.dll fbgemm.dll caffe2_nvrtc.dll",
    "torchaudio": "libtorchaudio.so _torchaudio.so",
    "torchvision": "libtorchvision.so",
    "triton": "libtriton.so libproton.so",
    "tensorflow": "libtensorflow_framework.so.2 libtensorflow_cc.so.2 libtensorflow_framework.2.dylib libtensorflow_cc.2.dylib"
    " _pywrap_tensorflow_common.dll libtensorflow_cc.dll",
    "tensorflow-cpu": "libtensorflow_framework.so.2 libtensorflow_cc.so.2",
    "pyarrow": "libarrow.so.* libarrow_*.so.* libarrow_python*.so libparquet.so.* libgandiva.so.* libarrow*.dylib"
    " libparquet*.dylib arrow*.dll"
    " parquet.dll",
    "shiboken6": "libshiboken6.abi3.* shiboken6.abi3.dll",
    "shiboken2": "libshiboken2.abi3.* shiboken2.abi3.dll",
    "pyside6-essentials": "libQt6*.so.6 libpyside6.abi3.* libpyside6qml.abi3.* Qt6*.dll pyside6*.abi3.dll",
    "pyside6-addons": "libQt6*.so.6 Qt6*.dll",
    "pyside6": "libQt6*.so.6 libpyside6.abi3.* Qt6*.dll pyside6*.abi3.dll",
    "pyside2": "libQt5*.so.5 libpyside2.abi3.* Qt5*.dll pyside2.abi3.dll",
    "pyqt6-qt6": "libQt6*.so.6 Qt6*.dll",
    "pyqt6-webengine-qt6": "libQt6WebEngine*.so.6 Qt6WebEngine*.dll",
    "pyqt5-qt5": "libQt5*.so.5 Qt5*.dll",
    "mkl": "libmkl_*.so.1 libmkl_*.so.2 libmkl_*.so.3 libmkl_*.1.dylib libmkl_*.2.dylib mkl_*.1.dll mkl_*.2.dll mkl_*.3.dll",
    "tbb": "libtbb.so.12 libtbbmalloc.so.2 libtbbmalloc_proxy.so.2 libtbbbind*.so.3 libtbb.12.dylib"
    " libtbbmalloc.2.dylib tbb12.dll tbbmalloc.dll",
    "intel-openmp": "libiomp5.so libiompstubs5.so libomptarget.so libiomp5.dylib libiomp5md.dll libiompstubs5md.dll",
    "intel-cmplr-lib-rt": "libimf.so libirng.so libintlc.so.5 libsvml.so libirc.so libifcore.so.5 libifport.so.5 libmmd.dll"
    " svml_dispmd.dll",
    "intel-sycl-rt": "libsycl.so.7 libsycl.so.8 libpi_level_zero.so sycl7.dll sycl8.dll",
    "dpcpp-cpp-rt": "libsycl.so.6 libsycl.so.7 libsycl.so.8",
    "onnxruntime": "libonnxruntime.so.1 libonnxruntime.so.1.* libonnxruntime.*.dylib libonnxruntime_providers_shared.so onnxruntime.dll",
    "onnxruntime-gpu": "libonnxruntime.so.1 libonnxruntime.so.1.* libonnxruntime_providers_*.so onnxruntime.dll"
    " onnxruntime_providers_*.dll",
    "tensorrt-cu12-libs": "libnvinfer.so.10 libnvinfer_plugin.so.10 libnvonnxparser.so.10 nvinfer_10.dll nvinfer_plugin_10.dll"
    " nvonnxparser_10.dll",
    "tensorrt-cu13-libs": "libnvinfer.so.10 libnvinfer_plugin.so.10 libnvonnxparser.so.10 nvinfer_10.dll nvinfer_plugin_10.dll"
    " nvonnxparser_10.dll",
    "openvino": "libopenvino.so.* libopenvino_*.so libopenvino*.dylib openvino.dll openvino_*.dll",
    "librmm-cu12": "librmm.so",
    "librmm-cu13": "librmm.so",
    "libcudf-cu12": "libcudf.so",
    "libcudf-cu13": "libcudf.so",
    "libraft-cu12": "libraft.so",
    "libraft-cu13": "libraft.so",
    "libkvikio-cu12": "libkvikio.so",
    "libkvikio-cu13": "libkvikio.so",
    "libucx-cu12": "libucp.so.0 libucs.so.0 libuct.so.0 libucm.so.0",
    "libucx-cu13": "libucp.so.0 libucs.so.0 libuct.so.0 libucm.so.0",
    "usd-core": "libusd_*.so libusd_*.dylib usd_*.dll",
    "vtk": "libvtk*.so libvtk*.so.1 libvtk*.dylib vtk*.dll",
    "cmeel-boost": "libboost_*.so.* libboost_*.dylib",
    "scipy-openblas64": "libscipy_openblas64_.so libscipy_openblas64_.dylib libscipy_openblas64_.dll",
    "scipy-openblas32": "libscipy_openblas.so libscipy_openblas.dylib libscipy_openblas.dll",
    "apache-tvm-ffi": "libtvm_ffi.so libtvm_ffi.dylib tvm_ffi.dll",
    "libclang": "libclang.so libclang.dylib libclang.dll",
}

QT_MAC = "Core Gui Widgets Network Qml Quick Svg OpenGL PrintSupport Sql Test Xml DBus Concurrent WebEngineCore Multimedia"
"""macOS frameworks that PySide6 and PyQt6 ship: a need's base name is the framework's ("QtCore")."""

HOST = {
    "the GPU driver brings it": "libcuda.so.1 libcudadebugger.so.1 libnvidia-*.so.* libnvcuvid.so.1 libnvoptix.so.1 libnvidia-ml.so.1"
    " libhsa-runtime64.so.1 libamdhip64.so.* libze_loader.so.1 nvcuda.dll nvml.dll nvcuvid.dll amdhip64*.dll ze_loader.dll",
    "the graphics driver and GLVND bring it": "libGL.so.1 libGLX.so.0 libEGL.so.1 libOpenGL.so.0 libGLdispatch.so.0 libGLESv1_CM.so.1"
    "  libGLESv2.so.2 libGLU.so.1 libgbm.so.1 libdrm.so.2 libdrm_*.so.* libva.so.2 libva-drm.so.2"
    " libva-x11.so.2 libvdpau.so.1 libOSMesa.so.*",
    "the OpenCL installation of the host brings it": "libOpenCL.so.1 OpenCL.dll",
    "the Vulkan loader of the host brings it": "libvulkan.so.1 vulkan-1.dll",
    "the desktop of the host brings it": "libX11.so.6 libX11-xcb.so.1 libXext.so.6 libXrender.so.1 libXi.so.6"
    " libXrandr.so.2 libXcursor.so.1 libXinerama.so.1 libXfixes.so.3 libXcomposite.so.1 libXdamage.so.1 libXtst.so.6"
    " libXss.so.1 libXft.so.2 libXmu.so.6 libXt.so.6"
    " libXpm.so.4 libXxf86vm.so.1 libXau.so.6 libXdmcp.so.6 libSM.so.6 libICE.so.6 libxcb.so.1 libxcb-*.so.* libxkbcommon.so.0"
    " libxkbcommon-x11.so.0 libwayland-*.so.* libgtk-3.so.0 libgdk-3.so.0 libgtk-4.so.1 libgtk-x11-2.0.so.0 libgdk-x11-2.0.so.0"
    " libwebkit2gtk-4.*.so.* libsecret-1.so.0 libnotify.so.4 libatspi.so.0 libatk-1.0.so.0 libatk-bridge-2.0.so.0",
    "the sound system of the host brings it": "libasound.so.2 libpulse.so.0 libpulse-simple.so.0 libpulse-mainloop-glib.so.0 libjack.so.0"
    " libpipewire-0.3.so.0",
    "a service of the host brings it": "libdbus-1.so.3 libsystemd.so.0 libudev.so.1 libavahi-client.so.3 libavahi-common.so.3 libcups.so.2"
    " libpcsclite.so.1 libnss3.so libnssutil3.so libsmime3.so libnspr4.so",
    "the RDMA or MPI installation of the host brings it": "libibverbs.so.1 librdmacm.so.1 libmlx5.so.1"
    " libmpi.so.* libmpi_cxx.so.* libmpifort.so.* msmpi.dll",
}


def facts() -> dict[str, dict[str, Any]]:
    """Return both tables by file, relative to the repository, without their dates."""
    qt = " ".join(f"Qt{module}" for module in QT_MAC.split())
    shipped = {**NVIDIA, **OTHERS}
    for distribution in ("pyside6-essentials", "pyqt6-qt6"):
        shipped[distribution] = shipped[distribution].replace("", "") + " " + qt
    note = "names of the libraries in the distributions' releases, collected by hand"
    return {
        "src/relocator/knowledge/providers.json": {"source": note, "libraries": _by_name(shipped)},
        "src/relocator/knowledge/host_libraries.json": {
            "source": "documentation of drivers, GLVND and desktops, collected by hand",
            "libraries": {name: reasons[0] for name, reasons in _by_name(HOST).items()},
        },
    }


def _by_name(table: dict[str, str]) -> dict[str, list[str]]:
    """Turn {distribution: names} into {name: distributions}, both sorted."""
    found: dict[str, list[str]] = {}
    for value, names in table.items():
        for name in names.split():
            found.setdefault(name.casefold(), []).append(value)
    return {name: sorted(set(values)) for name, values in sorted(found.items())}
