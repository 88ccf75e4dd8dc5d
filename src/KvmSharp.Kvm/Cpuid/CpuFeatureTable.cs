using static KvmSharp.Kvm.Cpuid.CpuidRegister;

namespace KvmSharp.Kvm.Cpuid;

/// <summary>
/// Names of CPUID feature bits as Linux prints them in /proc/cpuinfo (KVM's own leaf: as in the kernel's KVM_FEATURE_*, lower case).
/// Each word lists its bits from 0; "-" is a bit without a name.
/// </summary>
public static class CpuFeatureTable
{
    private static readonly Word[] Words =
    [
        new(1, 0, Edx, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"),
        new(1, 0, Ecx, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave osxsave avx f16c rdrand hypervisor"),
        new(7, 0, Ebx, "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"),
        new(7, 0, Ecx, "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - movdiri movdir64b enqcmd sgx_lc -"),
        new(7, 0, Edx, "- - avx512_4vnniw avx512_4fmaps fsrm uintr - - avx512_vp2intersect - md_clear - - - serialize - tsxldtrk - pconfig arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl intel_stibp flush_l1d arch_capabilities core_capabilities spec_ctrl_ssbd"),
        new(7, 1, Eax, "sha512 sm3 sm4 - avx_vnni avx512_bf16 lass cmpccxadd - - fzrm fsrs fsrc - - - - fred lkgs wrmsrns - amx_fp16 - avx_ifma - - lam - - - - -"),
        new(0xD, 1, Eax, "xsaveopt xsavec xgetbv1 xsaves xfd - - - - - - - - - - - - - - - - - - - - - - - - - - -"),
        new(6, 0, Eax, "dtherm ida arat - pln - pts hwp hwp_notify hwp_act_window hwp_epp hwp_pkg_req - - - - - - - hfi - - - - - - - - - - - -"),
        new(0x8000_0001, 0, Edx, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"),
        new(0x8000_0001, 0, Ecx, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -"),
        new(0x8000_0007, 0, Edx, "- - - - - - - - constant_tsc cpb aperfmperf - - - - - - - - - - - - - - - - - - - - -"),
        new(0x8000_0008, 0, Ebx, "clzero irperf xsaveerptr - rdpru - - - mba wbnoinvd - - ibpb int_wbinvd ibrs stibp ibrs_always_on stibp_always_on ibrs_pref - - - - amd_ppin ssbd virt_ssbd amd_ssb_no cppc amd_psfd btc_no ibpb_ret brs"),
        new(0x8000_000A, 0, Edx, "npt lbrv svm_lock nrip_save tsc_scale vmcb_clean flushbyasid decodeassists - - pausefilter - pfthreshold avic - v_vmsave_vmload vgif - - - - - - - - vnmi - - - - - -"),
        new(0x8000_0021, 0, Eax, "no_nested_data_bp fs_gs_non_serializing lfence_rdtsc - - verw_clear null_sel_clr_base - autoibrs no_smm_ctl_msr - - - - - - - prefetchctl_msr - - - - - - - - - sbpb ibpb_brtype srso_no - -"),
        new(0x4000_0001, 0, Eax, "kvmclock kvm_nop_io_delay kvm_mmu_op kvmclock2 kvm_asyncpf kvm_steal_time kvm_pv_eoi kvm_pv_unhalt - kvm_pv_tlb_flush kvm_asyncpf_vmexit kvm_pv_ipi kvm_poll_control kvm_pv_sched_yield kvm_asyncpf_int kvm_msi_ext_dest_id kvm_hc_map_gpa_range kvm_migration_control - - - - - - kvmclock_stable - - - - - - -"),
    ];

    /// <summary>Every known name, in the order of the leaves.</summary>
    public static IEnumerable<string> Names => Words.SelectMany(w => w.Names).Where(n => n != "-");

    /// <summary>Where a feature's bit is; false for a name nobody knows.</summary>
    public static bool TryFind(string name, out uint function, out uint index, out CpuidRegister register, out int bit)
    {
        foreach (Word word in Words)
        {
            bit = name == "-" ? -1 : Array.IndexOf(word.Names, name);
            if (bit < 0)
                continue;
            (function, index, register) = (word.Function, word.Index, word.Register);
            return true;
        }

        (function, index, register, bit) = (0, 0, Eax, 0);
        return false;
    }

    private sealed record Word(uint Function, uint Index, CpuidRegister Register, string Bits)
    {
        internal string[] Names { get; } = Bits.Split(' ');
    }
}
