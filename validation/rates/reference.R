# Makes the numbers of reference.json.  Rscript reference.R
suppressMessages({library(metafor); library(lme4); library(MASS)})
options(digits = 15)
x1 <- c(7, 8, 3, 6, 1, 1, 17, 3, 2);  t1 <- c(1344, 1600, 12012, 1536, 370, 729, 6760, 1107, 320) / 1000
x2 <- c(11, 8, 14, 10, 1, 8, 15, 7, 3); t2 <- c(1988, 1461, 10962, 1503, 483, 913, 6840, 1015, 440) / 1000
x0 <- c(0, 0, 15, 2, 0, 1, 9); t0 <- c(3.086, 1.205, 7.001, 4.122, 0.903, 1.5, 12.011)
for (s in list(list("treated", x1, t1), list("control", x2, t2), list("zeros", x0, t0))) {
  f <- rma.glmm(measure = "IRLN", xi = s[[2]], ti = s[[3]], nAGQ = 21)
  cat("IRLN", s[[1]], format(c(f$beta, f$se, f$tau2), digits = 12), "\n")
  g <- suppressWarnings(glm.nb(s[[2]] ~ 1 + offset(log(s[[3]])), control = glm.control(maxit = 500, epsilon = 1e-12)))
  cat("glm.nb", s[[1]], format(c(coef(g), 1 / g$theta, logLik(g)), digits = 12), "\n")
}
for (m in c("UM.FS", "CM.EL")) {
  f <- rma.glmm(measure = "IRR", x1i = x1, x2i = x2, t1i = t1, t2i = t2, model = m)
  cat("IRR", m, format(c(f$beta, f$se, f$tau2), digits = 12), "\n")
}
for (r in c(0, 1, 5, 17, 100)) cat("poisson.test", r, format(poisson.test(r, 308.6)$conf.int, digits = 12), "\n")
for (k in list(c(10, 1000, 5, 1000), c(0, 308.6, 17, 1201.1), c(5, 308.6, 0, 400), c(3, 250, 8, 412.2)))
  cat("ratio", format(poisson.test(k[c(1, 3)], k[c(2, 4)])$conf.int, digits = 12), "\n")
