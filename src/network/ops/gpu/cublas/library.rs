//! cuBLASLt itself: one handle, stream and workspace for each CUDA context, and a plan for each kind of product.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::mem::size_of_val;
use std::ptr::from_ref;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use cudarc::cublaslt::{result as lt, sys};
use cudarc::driver::sys as driver;

use super::layout::Matrices;
use crate::network::ops::gpu::aside::{Aside, is_driver_new, text};

/// Bytes of a workspace; NVIDIA's advice for Hopper (cuBLAS documentation, `cublasSetWorkspace`).
const WORKSPACE: usize = 32 << 20;
/// Addresses are taken to be multiples of no more than this many bytes; kernels ask for no more.
const ALIGNMENT: u64 = 256;

/// What matrices hold; sums are `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Number {
    F32,
    Bf16,
    F16,
}

impl Number {
    fn kind(self) -> sys::cudaDataType {
        match self {
            Self::F32 => sys::cudaDataType::CUDA_R_32F,
            Self::Bf16 => sys::cudaDataType::CUDA_R_16BF,
            Self::F16 => sys::cudaDataType::CUDA_R_16F,
        }
    }
}

/// A product by columns: `result = first * second`, plus a column that is added to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Task {
    /// Of the factors.
    pub number: Number,
    pub result_number: Number,
    pub first: Matrices,
    pub second: Matrices,
    pub result: Matrices,
    pub has_bias: bool,
}

/// Where the matrices are in the device's memory; a bias that is not there is at 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub first: u64,
    pub second: u64,
    pub bias: u64,
    pub result: u64,
}

impl Addresses {
    /// The largest power of two, up to [`ALIGNMENT`], that divides each address of a matrix.
    fn alignments(self) -> [u32; 3] {
        let of = |address: u64| (1 << address.trailing_zeros().min(63)).min(ALIGNMENT) as u32;
        [of(self.first), of(self.second), of(self.result)]
    }
}

/// What is kept for a context.
pub(super) struct Library {
    handle: sys::cublasLtHandle_t,
    aside: Aside,
    workspace: driver::CUdeviceptr,
    /// By task and alignments; `None` where no kernel serves.
    plans: HashMap<(Task, [u32; 3]), Option<Plan>>,
}

// SAFETY: CUDA's and cuBLASLt's handles may be used from any thread, by one at a time: they stand behind a lock.
unsafe impl Send for Library {}

/// How a task is done, as cuBLASLt wants it said.
struct Plan {
    operation: sys::cublasLtMatmulDesc_t,
    first: sys::cublasLtMatrixLayout_t,
    second: sys::cublasLtMatrixLayout_t,
    result: sys::cublasLtMatrixLayout_t,
    algorithm: sys::cublasLtMatmulAlgo_t,
}

static LIBRARIES: LazyLock<Mutex<HashMap<usize, Library>>> = LazyLock::new(Mutex::default);

impl Library {
    /// Whether there are the library and a driver that is new enough.
    pub(super) fn is_there() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        *FOUND.get_or_init(|| {
            if std::env::var_os("ASTROCLIP_CUBLAS").is_some_and(|value| value == "off") {
                return false;
            }
            // SAFETY: it loads a library.
            let library = unsafe { sys::is_culib_present() };
            let lacks = match (library, is_driver_new()) {
                (true, true) => return true,
                (false, _) => "there is no libcublasLt (it comes with a CUDA toolkit; LD_LIBRARY_PATH names its folder)",
                (true, false) => "the NVIDIA driver is older than CUDA 12.5",
            };
            tracing::warn!("{lacks}: matrix products are slower, and the first steps take minutes");
            false
        })
    }

    /// Asks the current context's device for a product; false if no kernel of the library serves.
    ///
    /// # Safety
    ///
    /// The task describes memory of the current context that holds until the device comes to the product.
    pub(super) unsafe fn multiply(task: &Task, addresses: Addresses) -> Result<bool, String> {
        let context = Aside::current_context()?;
        let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        let library = match libraries.entry(context as usize) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(unsafe { Self::open() }?),
        };
        unsafe { library.run(task, addresses) }
    }

    unsafe fn open() -> Result<Self, String> {
        let mut workspace = 0;
        unsafe { driver::cuMemAlloc_v2(&mut workspace, WORKSPACE) }
            .result()
            .map_err(text)?;
        Ok(Self {
            handle: lt::create_handle().map_err(text)?,
            aside: Aside::open()?,
            workspace,
            plans: HashMap::new(),
        })
    }

    unsafe fn run(&mut self, task: &Task, addresses: Addresses) -> Result<bool, String> {
        let alignments = addresses.alignments();
        let plan = match self.plans.entry((*task, alignments)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                place.insert(unsafe { Plan::new(self.handle, task, addresses, alignments) }?)
            }
        };
        let Some(plan) = plan else { return Ok(false) };
        let (one, zero) = (1.0f32, 0.0f32);
        if task.has_bias {
            unsafe { plan.add(addresses.bias) }.map_err(text)?;
        }
        let (handle, workspace) = (self.handle, self.workspace);
        self.aside.run(|stream| {
            let asked = unsafe {
                lt::matmul(
                    handle,
                    plan.operation,
                    from_ref(&one).cast(),
                    from_ref(&zero).cast(),
                    addresses.first as *const c_void,
                    plan.first,
                    addresses.second as *const c_void,
                    plan.second,
                    addresses.result as *const c_void,
                    plan.result,
                    addresses.result as *mut c_void,
                    plan.result,
                    &plan.algorithm,
                    workspace as *mut c_void,
                    WORKSPACE,
                    stream.cast(),
                )
            };
            asked.map_err(text)
        })?;
        Ok(true)
    }
}

impl Plan {
    /// The library's choice for a task; `None` if it has no kernel for it.
    unsafe fn new(
        handle: sys::cublasLtHandle_t,
        task: &Task,
        addresses: Addresses,
        alignments: [u32; 3],
    ) -> Result<Option<Self>, String> {
        use sys::cublasLtMatmulDescAttributes_t as Of;
        use sys::cublasLtMatmulPreferenceAttributes_t as Wish;
        let compute = sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        let scale = sys::cudaDataType::CUDA_R_32F;
        let operation = lt::create_matmul_desc(compute, scale).map_err(text)?;
        let set = |attribute, value: i32| unsafe {
            let value = from_ref(&value).cast();
            lt::set_matmul_desc_attribute(operation, attribute, value, size_of::<i32>())
        };
        set(Of::CUBLASLT_MATMUL_DESC_TRANSA, turn(task.first)).map_err(text)?;
        set(Of::CUBLASLT_MATMUL_DESC_TRANSB, turn(task.second)).map_err(text)?;
        if task.has_bias {
            let epilogue = sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS as i32;
            set(Of::CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue).map_err(text)?;
        }
        let [first, second, result] = [
            (task.number, task.first),
            (task.number, task.second),
            (task.result_number, task.result),
        ]
        .map(|(number, matrices)| unsafe { layout(number, matrices) });
        let (first, second, result) = (
            first.map_err(text)?,
            second.map_err(text)?,
            result.map_err(text)?,
        );
        let mut plan = Self {
            operation,
            first,
            second,
            result,
            algorithm: sys::cublasLtMatmulAlgo_t { data: [0; 8] },
        };
        if task.has_bias {
            unsafe { plan.add(addresses.bias) }.map_err(text)?;
        }
        let wishes = lt::create_matmul_pref().map_err(text)?;
        let [a, b, d] = alignments;
        let workspace = WORKSPACE;
        unsafe {
            let largest = Wish::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
            let value = from_ref(&workspace).cast();
            lt::set_matmul_pref_attribute(wishes, largest, value, size_of_val(&workspace))
                .map_err(text)?;
            for (wish, alignment) in [
                (Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a),
                (Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b),
                (Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, d),
                (Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, d),
            ] {
                let value = from_ref(&alignment).cast();
                lt::set_matmul_pref_attribute(wishes, wish, value, size_of_val(&alignment))
                    .map_err(text)?;
            }
            let best = lt::get_matmul_algo_heuristic(
                handle, operation, first, second, result, result, wishes,
            );
            lt::destroy_matmul_pref(wishes).map_err(text)?;
            match best {
                Ok(best) => plan.algorithm = best.algo,
                Err(lt::CublasError(sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED)) => {
                    return Ok(None);
                }
                Err(error) => return Err(text(error)),
            }
        }
        Ok(Some(plan))
    }

    /// Where the bias is.
    unsafe fn add(&self, bias: u64) -> Result<(), lt::CublasError> {
        let attribute = sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER;
        let value = from_ref(&bias).cast();
        unsafe {
            lt::set_matmul_desc_attribute(self.operation, attribute, value, size_of_val(&bias))
        }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // What cannot be given back is lost; there is nobody to tell.
        unsafe {
            let _ = lt::destroy_matmul_desc(self.operation);
            for layout in [self.first, self.second, self.result] {
                let _ = lt::destroy_matrix_layout(layout);
            }
        }
    }
}

/// `CUBLAS_OP_N` or `CUBLAS_OP_T`.
fn turn(matrices: Matrices) -> i32 {
    matrices.turned.into()
}

unsafe fn layout(
    number: Number,
    matrices: Matrices,
) -> Result<sys::cublasLtMatrixLayout_t, lt::CublasError> {
    use sys::cublasLtMatrixLayoutAttribute_t as Of;
    let (rows, columns) = (matrices.rows as u64, matrices.columns as u64);
    let layout = lt::create_matrix_layout(number.kind(), rows, columns, matrices.leading as i64)?;
    let (count, stride) = (matrices.batch as i32, matrices.stride as i64);
    unsafe {
        let attribute = Of::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
        lt::set_matrix_layout_attribute(
            layout,
            attribute,
            from_ref(&count).cast(),
            size_of_val(&count),
        )?;
        let attribute = Of::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET;
        lt::set_matrix_layout_attribute(
            layout,
            attribute,
            from_ref(&stride).cast(),
            size_of_val(&stride),
        )?;
    }
    Ok(layout)
}
